"""Other objects are printed on stderr."""
import sys
sys.exit(("a", 1))
