"""A discrete event simulation with a seeded generator."""
import heapq, random
r = random.Random(99); events, queue, free, log = [(0, 0, "arrive")], [], 2, []; n = 1; waited = []
while events:
    t, k, what = heapq.heappop(events)
    if what == "arrive":
        queue.append(t)
        if t < 60: heapq.heappush(events, (t + r.randint(1, 4), n, "arrive")); n += 1
    else: free += 1
    while free and queue:
        waited.append(t - queue.pop(0)); free -= 1; heapq.heappush(events, (t + r.randint(2, 7), n, "leave")); n += 1
    log.append((t, what[0], len(queue)))
print(log[:8], len(log), max(q for *_, q in log), f"{sum(waited) / len(waited):.3f}")
