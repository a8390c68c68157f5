"""Accounts with transactions, limits and a statement."""
from dataclasses import dataclass, field
from decimal import Decimal
class InsufficientFunds(Exception):
    def __init__(self, need, have): super().__init__(f"need {need}, have {have}"); self.missing = need - have
@dataclass
class Account:
    owner: str
    balance: Decimal = Decimal("0.00")
    history: list = field(default_factory=list)
    def apply(self, kind, amount):
        amount = Decimal(amount)
        if amount <= 0: raise ValueError(f"amount must be positive: {amount}")
        if kind == "withdraw" and amount > self.balance: raise InsufficientFunds(amount, self.balance)
        self.balance += amount if kind == "deposit" else -amount
        self.history.append((kind, amount, self.balance))
a = Account("Ann")
for k, v in (("deposit", "100.10"), ("withdraw", "30.05"), ("withdraw", "99"), ("deposit", "-5"), ("withdraw", "70.05"), ("deposit", "x")):
    try: a.apply(k, v); print(f"{k:<10}{v:>8}{a.balance:>10}")
    except InsufficientFunds as e: print("refused", e, e.missing)
    except (ValueError, ArithmeticError) as e: print(type(e).__name__)
for h in a.history: print("{:>10} {:>8.2f} {:>8.2f}".format(*h))
print(a)
