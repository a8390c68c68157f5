// Fields, statics, private names, accessors and inheritance.
class Account {
  static #opened = 0;
  static get opened() { return Account.#opened; }
  #balance = 0;
  owner;
  constructor(owner) { this.owner = owner; Account.#opened++; }
  deposit(amount) {
    if (amount <= 0) throw new RangeError('amount must be positive');
    this.#balance += amount;
    return this;
  }
  get balance() { return this.#balance; }
  #audit() { return `${this.owner}:${this.#balance}`; }
  report() { return this.#audit(); }
  static isAccount(value) { return #balance in value; }
}
class Savings extends Account {
  rate = 0.5;
  addInterest() { return this.deposit(this.balance * this.rate); }
  report() { return `savings ${super.report()}`; }
}
const s = new Savings('Eve').deposit(100).addInterest();
console.log(s.balance, s.report(), Account.opened, Account.isAccount(s), Account.isAccount({}));
try { s.deposit(-1); } catch (error) { console.log(error.name, error.message); }
console.log(s instanceof Account, Object.keys(s), Savings.name, Savings.length);
try { Account(); } catch (error) { console.log(error.name); }
