"""Options of several kinds."""
import argparse
p = argparse.ArgumentParser(description="d")
p.add_argument("name"); p.add_argument("nums", nargs="*", type=int); p.add_argument("-v", "--verbose", action="count", default=0); p.add_argument("--out", default="o.txt"); p.add_argument("--no-color", dest="color", action="store_false"); p.add_argument("-p", type=float, action="append"); p.add_argument("--mode", choices=["a", "b"], default="a")
print(sorted(vars(p.parse_args()).items()))
print(p.parse_args(["x"]), p.parse_known_args(["y", "--zzz"])[1])
