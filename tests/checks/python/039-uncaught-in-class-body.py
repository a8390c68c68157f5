"""An error while a class body runs."""
class Broken:
    x = 1
    print("in the body")
    y = x + "a"
print("never")
