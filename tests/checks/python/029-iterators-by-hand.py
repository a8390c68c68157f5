"""__iter__, __next__, __getitem__ and sentinels."""
class Countdown:
    def __init__(self, n): self.n = n
    def __iter__(self): return self
    def __next__(self):
        if self.n == 0: raise StopIteration
        self.n -= 1; return self.n
class Old:
    def __getitem__(self, i):
        if i > 3: raise IndexError
        return i * i
    def __len__(self): return 4
c = Countdown(3); print(list(c), list(c), list(Old()), 9 in Old(), list(reversed(Old())), max(Old()), sum(Countdown(5)))
it = iter([3, 1, 4, 1, 5].__iter__().__next__, 1); print(list(it))
e = iter("ab"); print(next(e), next(e), next(e, "default")); a = iter(range(4)); print(list(zip(a, a)), list(enumerate("xy", 1)), list(map(pow, (2, 3), (3, 2))), list(filter(None, [0, 1, "", "a"])))
try:
    list(zip([1], [1, 2], strict=True))
except ValueError as e:
    print(e)
try:
    iter(5)
except TypeError as e:
    print(e)
a = [1, 2, 3]
for x in a:
    if x < 3: a.append(x + 10)
    if len(a) > 6: break
print(a)
