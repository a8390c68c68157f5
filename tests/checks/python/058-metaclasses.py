"""A metaclass that registers, checks and changes classes; __init_subclass__; __prepare__."""
class Meta(type):
    registry = {}
    @classmethod
    def __prepare__(mcs, name, bases, **kw): return {"prepared": True}
    def __new__(mcs, name, bases, ns, tag=None):
        cls = super().__new__(mcs, name, bases, dict(ns)); cls.tag = tag; mcs.registry[name] = cls; return cls
    def __init__(cls, name, bases, ns, tag=None): super().__init__(name, bases, ns); print("init", name, tag)
    def __call__(cls, *a): print("call", cls.__name__); return super().__call__(*a)
    def __len__(cls): return len(cls.__name__)
    def __getitem__(cls, k): return f"{cls.__name__}[{k}]"
class Base(metaclass=Meta): pass
class Child(Base, tag="t"):
    def __init__(self, x): self.x = x
print(Child(1).x, len(Child), Child["i"], Child.prepared, list(Meta.registry), type(Child).__name__, isinstance(Child, Meta))
class Plugin:
    known = []
    def __init_subclass__(cls, /, name=None, **kw): super().__init_subclass__(**kw); cls.known.append(name or cls.__name__)
class One(Plugin, name="1"): pass
class Two(Plugin): pass
print(Plugin.known, type("Dyn", (One,), {"f": lambda self: "dyn"})().f(), Plugin.known)
class Gen:
    def __class_getitem__(cls, k): return (cls.__name__, k)
print(Gen[int, 3])
