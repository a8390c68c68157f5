"""helper doc"""
__all__ = ["double"]
LOADED = "loaded once"
print(LOADED)
def double(x): return x * 2
def hidden(): return 0
_private = 1
