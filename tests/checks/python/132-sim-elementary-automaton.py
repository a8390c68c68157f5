"""Rule 30 and rule 110 drawn in characters."""
for rule in (30, 110):
    row = 1 << 20
    for _ in range(12):
        print(f"{row:041b}".replace("0", ".").replace("1", "#")); row = sum((rule >> (row >> i & 7) & 1) << (i + 1) for i in range(-1 + 1, 39)) & (1 << 41) - 1
