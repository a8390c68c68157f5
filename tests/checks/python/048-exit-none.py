"""sys.exit() and SystemExit(None) give 0."""
import sys
try:
    sys.exit()
except SystemExit as e:
    print(e.code, repr(e))
try:
    sys.exit(3)
except SystemExit as e:
    print(e.code, e.args)
raise SystemExit
