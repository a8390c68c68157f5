"""Commands from the input change a stock; unknown ones set the exit code."""
import shlex, sys
stock, bad = {}, 0
for n, line in enumerate(sys.stdin, 1):
    match shlex.split(line, comments=True):
        case []: continue
        case ["add", name, qty] if qty.isdigit(): stock[name] = stock.get(name, 0) + int(qty)
        case ["remove", name]: print("removed", stock.pop(name, "nothing"))
        case ["rename", old, new] if old in stock: stock[new] = stock.pop(old)
        case ["show", *names]:
            for s in names or sorted(stock): print(f"  {s}: {stock.get(s, '-')}")
        case [cmd, *rest]: bad += 1; print(f"line {n}: cannot {cmd} {rest}", file=sys.stdout)
print(stock); sys.exit(bad)
