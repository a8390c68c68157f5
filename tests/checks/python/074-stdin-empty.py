"""Empty input."""
import sys
print(repr(sys.stdin.read()), list(sys.stdin), sys.stdin.isatty())
try: input()
except EOFError as e: print("EOFError", e)
