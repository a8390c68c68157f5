"""globals, locals, exec, eval, vars, dynamic code and names."""
x = 1
def f():
    global x, made
    x += 1; made = "by f"; loc = 5; return sorted(locals()), x
print(f(), made, "made" in globals(), eval("x * 10"), eval("a + b", {"a": 1}, {"b": 2}))
ns = {}; exec("def g(n):\n    return n * k\nk = 3", ns); print(ns["g"](5), sorted(k for k in ns if not k.startswith("__")))
exec("x = 'changed'"); print(x, vars(type("O", (), {"q": 1}))["q"], callable(f), getattr(f, "__name__"), id(f) == id(f), hash("a") == hash("a"), __name__, isinstance(__builtins__, object))
code = compile("[i ** 2 for i in range(4)]", "<s>", "eval"); print(eval(code), code.co_filename)
f.attr = "on a function"; print(f.attr, f.__dict__)
for s in ("1 +", "undefined_name", "1/0", "x = 1"):
    try: print(eval(s))
    except Exception as e: print(s, type(e).__name__)
