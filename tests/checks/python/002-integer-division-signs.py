"""Floor division and remainder follow the sign of the divisor."""
for a in (7, -7):
    for b in (2, -2, 3, -3):
        print(a, b, a // b, a % b, divmod(a, b), int(a / b), round(a / b, 3))
print(7.5 // 2, -7.5 // 2, 7.5 % -2, divmod(-7.5, 2), -0.0 // 1, 5 % 3.5)
