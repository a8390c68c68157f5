"""Subcommands, mutually exclusive groups, custom types."""
import argparse
def pair(s):
    a, _, b = s.partition("=")
    if not _: raise argparse.ArgumentTypeError(f"{s!r} is no pair")
    return a, b
p = argparse.ArgumentParser(prog="t"); sub = p.add_subparsers(dest="cmd", required=True)
a = sub.add_parser("add"); a.add_argument("items", nargs="+", type=pair); a.set_defaults(fn=lambda o: print("add", dict(o.items)))
l = sub.add_parser("list"); g = l.add_mutually_exclusive_group(); g.add_argument("--all", action="store_true"); g.add_argument("--last", type=int); l.set_defaults(fn=lambda o: print("list", o.all, o.last))
for argv in (["add", "a=1", "b=2=3"], ["list", "--last", "4"], ["list"]):
    o = p.parse_args(argv); o.fn(o)
for argv in (["add", "x"], ["list", "--all", "--last", "1"], []):
    try: p.parse_args(argv)
    except SystemExit as e: print("exit", e.code)
