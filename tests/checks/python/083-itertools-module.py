"""Every function of itertools that all versions have."""
from itertools import *
import operator
print(list(accumulate([1, 2, 3, 4], operator.mul)), list(accumulate([1, 2], initial=10)), list(chain("ab", [1])), list(chain.from_iterable(["cd", "e"])), list(combinations("abcd", 2))[:4], list(combinations_with_replacement("ab", 2)), list(permutations([1, 2, 3], 2)), list(product("ab", repeat=2)))
print(list(compress("abcd", [1, 0, 1, 0])), list(dropwhile(lambda x: x < 3, [1, 3, 2])), list(takewhile(lambda x: x < 3, [1, 3, 2])), list(filterfalse(lambda x: x % 2, range(5))), list(islice(count(10, 3), 2, 8, 2)), list(islice(cycle("ab"), 5)), list(repeat(7, 3)), list(pairwise("abcd")), list(starmap(pow, [(2, 3), (3, 2)])), list(zip_longest("abc", [1], fillvalue="-")))
print([(k, list(g)) for k, g in groupby("aaabbca")], [(k, [*g]) for k, g in groupby(sorted(["bb", "a", "cc", "d"], key=len), key=len)])
a, b, c = tee(range(4), 3); print(next(a), list(b), list(a), list(c)); print(list(zip(count(), "ab")), list(islice("abcdef", 1, None, 2)), len(list(permutations(range(6)))), sum(1 for _ in product(range(3), repeat=5)))
try: islice("a", -1)
except ValueError as e: print(type(e).__name__)
