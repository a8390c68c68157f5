"""Random walks and estimates from a fixed seed."""
import random
random.seed(7)
print(sum(random.random() ** 2 + random.random() ** 2 < 1 for _ in range(20000)) / 5000)
pos, path = 0, []
for _ in range(60): pos += random.choice((-1, 1)); path.append(pos)
print(path, min(path), max(path)); rolls = [random.randint(1, 6) + random.randint(1, 6) for _ in range(3000)]
for v in range(2, 13): print(f"{v:>2} {rolls.count(v):>4} {'*' * (rolls.count(v) // 20)}")
deck = [f"{v}{s}" for s in "SHDC" for v in "A23456789TJQK"]; random.shuffle(deck); print(deck[:13])
