"""Arguments as they come."""
import sys
print(len(sys.argv), sys.argv[1:])
for a in sys.argv[1:]: print(repr(a), a.isdigit())
