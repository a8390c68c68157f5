"""Parsing, transforming, evaluating literals, tokens."""
import ast, io, tokenize
t = ast.parse("x = 1 + 2 * y\nif x > 3: print(x)")
print([type(n).__name__ for n in t.body], sum(isinstance(n, ast.Name) for n in ast.walk(t)), ast.unparse(t))
class Swap(ast.NodeTransformer):
    def visit_BinOp(self, n): self.generic_visit(n); return ast.BinOp(n.right, n.op, n.left)
    def visit_Constant(self, n): return ast.Constant(n.value * 10) if isinstance(n.value, int) else n
e = ast.fix_missing_locations(Swap().visit(ast.parse("1 - 2 * 3", mode="eval"))); print(ast.unparse(e), eval(compile(e, "e", "eval")))
print(ast.literal_eval("{'a': [1, (2, None)], 'b': -3.5}"), [type(a).__name__ for a in ast.parse("f(a, *b, k=1)", mode="eval").body.args])
for s in ("f()", "1 +", "a", "[1, 2", "__import__('os')"):
    try: print(ast.literal_eval(s))
    except (ValueError, SyntaxError) as x: print(s, type(x).__name__)
for k in tokenize.generate_tokens(io.StringIO("def f(x):  # c\n    return x ** 2\n").readline): print(tokenize.tok_name[k.type], repr(k.string), k.start)
