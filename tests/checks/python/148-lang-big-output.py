"""Long lines and many lines."""
print("x" * 5000); print(*range(1500)); print(list(range(300)), {i: str(i) * 3 for i in range(100)})
for i in range(500): print(i, "é" * (i % 40))
print("\n" * 5, end=""); print("end", end="")
