"""Assignment expressions, conditional expressions, else of loops, del, pass."""
while (n := int(input())) != 0:
    for d in range(2, n):
        if (q := n / d).is_integer(): print(n, "=", d, "*", int(q)); break
    else: print(n, "prime" if n > 1 else "unit")
else: print("loop ended", n)
if (m := max(x := [3, 1])) > 2: print(m, x)
print([last := c for c in "abc"], last, (y := 1, y + 1), f"{(z := 5)} {z:=3}", not (w := []) or w); del x
try: x
except NameError as e: print(e)
i = 0
while True:
    i += 1
    if i % 2: continue
    if i > 6: break
    print(i, end=",")
print(); a = b = []; a.append(1); print(b, a is b, 1 if a else 2, "x" if not a else "y" if len(a) > 1 else "z"); assert (lambda: ...)() is ...
