"""sys.exit with a text prints it on stderr and gives 1."""
import sys
try:
    sys.exit("reason on stderr")
finally:
    print("finally runs")
