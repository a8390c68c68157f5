"""Heaps, merging and sorted insertion."""
import bisect, heapq
h = []
for x in (5, 1, 8, 3, 9, 2): heapq.heappush(h, x)
print(h, [heapq.heappop(h) for _ in range(3)], h, heapq.heappushpop(h, 4), heapq.heapreplace(h, 7), h, heapq.nlargest(2, "banana"), heapq.nsmallest(2, [(3, "c"), (1, "z"), (2, "a")], key=lambda t: t[1]), list(heapq.merge([1, 4], [2, 3, 9], [0])), list(heapq.merge("ca", "db", reverse=True)))
a = [1, 3, 3, 5]; print(bisect.bisect(a, 3), bisect.bisect_left(a, 3), bisect.bisect_left(a, 9), bisect.bisect("ace", "b")); bisect.insort(a, 4); bisect.insort_left(a, 3); print(a, ["FDCBA"[bisect.bisect([60, 70, 80, 90], s)] for s in (33, 60, 79, 99)], bisect.bisect_left([(1, "a"), (2, "b")], 2, key=lambda t: t[0]))
x = [7, 2, 9, 4, 1]; heapq.heapify(x); print(x)
try: heapq.heappop([])
except IndexError as e: print(e)
