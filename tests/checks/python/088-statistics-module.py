"""Means, medians, modes, spread."""
import statistics as s
a = [3, 1, 4, 1, 5, 9, 2, 6]
print(s.mean(a), s.median(a), s.median_low(a), s.median_high(a), s.mode(a), s.multimode("aabbc"), s.pvariance(a), s.variance([1, 2, 3, 4]), s.stdev([2, 4, 4, 4, 5, 5, 7, 9]), s.pstdev([2, 4, 4, 4, 5, 5, 7, 9]), s.quantiles(range(1, 10), n=4), s.harmonic_mean([40, 60]), s.fmean([1.5, 2.5]), s.median_grouped([1, 2, 2, 3]), s.mean([1, 2.5]), type(s.mean([1, 3])).__name__)
print(f"{s.geometric_mean([1, 2, 4]):.9f} {s.correlation([1, 2, 3], [2, 4, 7]):.9f} {s.linear_regression([1, 2, 3], [2, 4, 6]).slope:.6f} {s.NormalDist(10, 2).cdf(12):.9f}")
for f in (lambda: s.mean([]), lambda: s.stdev([1]), lambda: s.mode([])):
    try: f()
    except s.StatisticsError as e: print(type(e).__name__)
