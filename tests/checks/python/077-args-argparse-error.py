"""A wrong argument ends with code 2."""
import argparse
p = argparse.ArgumentParser()
p.add_argument("count", type=int)
print("parsing")
p.parse_args()
print("never")
