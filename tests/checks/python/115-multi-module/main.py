"""A program of several files; an error in one of them shows its path."""
import helper
from package import tool, VALUE
from package.inner import deep
print(helper.double(4), helper.__name__, tool.use(3), VALUE, deep.NAME, __name__, helper.__doc__)
import importlib; print(importlib.import_module("package.tool") is tool, helper.LOADED)
from helper import *
print(double(1), "_private" in dir(), "hidden" in dir())
try: import missing_module
except ModuleNotFoundError as e: print(e, e.name)
try: from helper import nothing
except ImportError as e: print(type(e).__name__, e.name)
tool.use(0)
