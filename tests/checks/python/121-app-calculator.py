"""A tokenizer and a precedence-climbing parser."""
import operator, re, sys
OPS = {"+": (1, operator.add), "-": (1, operator.sub), "*": (2, operator.mul), "/": (2, operator.truediv), "//": (2, operator.floordiv), "%": (2, operator.mod), "^": (3, operator.pow)}
def tokens(s):
    pos = 0
    for m in re.finditer(r"\s*(?:(\d+\.?\d*)|(//|[-+*/%^()]))", s):
        if m.start() != pos: raise SyntaxError(f"bad character at {pos}")
        pos = m.end(); yield float(m[1]) if m[1] and "." in m[1] else int(m[1]) if m[1] else m[2]
    if s[pos:].strip(): raise SyntaxError(f"bad character at {pos}")
    yield None
def evaluate(s):
    ts = tokens(s); cur = next(ts)
    def advance():
        nonlocal cur
        t, cur = cur, next(ts, None); return t
    def atom():
        t = advance()
        if t == "(":
            v = expr(1)
            if advance() != ")": raise SyntaxError("missing )")
            return v
        if t == "-": return -expr(3)
        if isinstance(t, (int, float)): return t
        raise SyntaxError("unexpected end" if t is None else f"unexpected {t}")
    def expr(level):
        v = atom()
        while cur in OPS and OPS[cur][0] >= level:
            p, f = OPS[op := advance()]; v = f(v, expr(p + (op != "^")))
        return v
    v = expr(1)
    if cur is not None: raise SyntaxError(f"unexpected {cur}")
    return v
for line in sys.stdin:
    try: print(line.strip(), "=", evaluate(line.strip()))
    except (SyntaxError, ArithmeticError) as e: print(line.strip(), "!", e.msg if isinstance(e, SyntaxError) else type(e).__name__)
