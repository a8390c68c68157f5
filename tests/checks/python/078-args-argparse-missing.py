"""A missing argument ends with code 2."""
import argparse
p = argparse.ArgumentParser(prog="tool", usage="tool [-h] input")
p.add_argument("input"); p.add_argument("--level", type=int, required=True)
p.parse_args()
