"""compile reports the place of the error."""
for src in ("1 +", "def f(", "x = = 1", "for in y: pass", "return 1", "break", "a b", "'open", "(1, 2", "f(a=1, a=2)", "lambda x: = 1", "1 = x", "x + 1 = 2", "del f()", "nonlocal z", "def g(a, a): pass", "await x", "yield", "\tif 1:\n  x", "import", "class", "None = 1", "*a", "f'{'", "async with x: pass", "global q; q = 1; print(q)"):
    try:
        compile(src, "src", "exec"); print(repr(src), "fine")
    except SyntaxError as e:
        print(repr(src), type(e).__name__, e.lineno)
