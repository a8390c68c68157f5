"""A program that cannot be compiled prints nothing."""
print("never")
def f(:
    pass
