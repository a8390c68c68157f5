"""sys.exit with a number."""
import sys
print("leaving")
sys.exit(7)
