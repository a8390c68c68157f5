"""and, or and not return operands and stop early."""
def t(x):
    print(f"<{x!r}>", end=" ")
    return x
print(t(0) or t("a") or t("b"))
print(t(1) and t([]) and t("c"))
print(t(None) or t(0) and t(1) or t(()))
print(not t(""), t(1) if t(0) else t(2))
print(all(t(x) for x in (1, 0, 2)), any(t(x) for x in (0, 3, 4)), all([]), any([]))
