"""A hook of the program's own for uncaught errors."""
import sys
def hook(kind, value, tb): print("hook:", kind.__name__, value, tb.tb_lineno); print("own report", file=sys.stderr)
sys.excepthook = hook
raise ValueError("for the hook")
