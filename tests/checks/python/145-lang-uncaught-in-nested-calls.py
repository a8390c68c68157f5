"""Frames of functions, lambdas, methods, properties and comprehensions outside of lists."""
class K:
    @property
    def p(self): return (lambda v: self.m(v))(3)
    def m(self, v): return self.s(*[v])
    @staticmethod
    def s(v):
        def inner(): return {}[v]
        return inner()
    def __getitem__(self, i): return self.p
print("start"); k = K()
try: k.p
except KeyError as e:
    tb, names = e.__traceback__, []
    while tb: names.append((tb.tb_frame.f_code.co_name, tb.tb_lineno)); tb = tb.tb_next
    print(names)
k[0]
