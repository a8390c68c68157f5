from . import VALUE
from .inner.deep import NAME
def use(n): return f"{VALUE}/{NAME}/{10 // n}"
