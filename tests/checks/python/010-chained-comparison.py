"""Chained comparisons evaluate each operand once; is and in chain too."""
def f(x):
    print("eval", x, end="; ")
    return x
print(f(1) < f(2) < f(3))
print(f(3) < f(2) < f(1))
print(1 < 3 > 2, 1 == 1.0 == True, 1 < 2 in [2], (1 in [1]) == True, 1 in [1] == True, not 1 == 2, None is None is None)
print([] < [1], (1, 2) < (1, 2, 0), "a" < "B", "Z" < "a", [1, [2]] < [1, [3]], {1} < {1, 2}, {1} < {2}, float("nan") in [float("nan")])
for a, b in ((1, "a"), ([1], (1,)), (None, 0), ({}, {})):
    try:
        print(a < b)
    except TypeError as e:
        print(e)
