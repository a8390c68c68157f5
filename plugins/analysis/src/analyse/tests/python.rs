//! Python, one construct at a time.

use super::{analyse, expect, file, rules_of, table};

#[test]
fn syntax() {
    table(
        "a.py",
        &[
            ("x = 1\n", ""),
            ("", ""),
            ("x = = 1\n", "syntax:1"),
            ("def f(:\n    pass\n", "syntax:1 syntax:1"),
            ("if True:\nx = 1\n", "syntax:2"),
            ("print 'a'\n", "syntax:1"),
            ("x = 'never ends\n", "syntax:1"),
            ("return 1\n", "return-outside-function:1"),
            ("class A:\n    return 1\n", "return-outside-function:2"),
            ("yield 1\n", "yield-outside-function:1"),
            ("x = [(yield 1) for y in []]\n", "yield-outside-function:1"),
            ("def f():\n    await g()\n", "await-outside-function:2"),
            ("break\n", "outside-loop:1"),
            (
                "for x in []:\n    def f():\n        continue\n",
                "outside-loop:3",
            ),
            (
                "for x in []:\n    pass\nelse:\n    break\n",
                "outside-loop:4",
            ),
            ("def f(a, a):\n    pass\n", "syntax:1"),
            ("def f():\n    x = 1\n    global x\n", "syntax:2"),
            ("def f():\n    nonlocal x\n", "syntax:2"),
            (
                "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    g()\n    return x\n",
                "",
            ),
            ("nonlocal x\n", "syntax:1"),
            ("def f():\n    from os import *\n", "syntax:2"),
            ("x = 1\nfrom __future__ import annotations\n", "syntax:2"),
            (
                "match 1:\n    case x:\n        pass\n    case 2:\n        pass\n",
                "syntax:2",
            ),
            (
                "async def f():\n    return [await x async for x in g()]\ndef g(): ...\n",
                "",
            ),
            (
                "try:\n    pass\nexcept A, B:\n    pass\nA = B = OSError\n",
                "undefined-name:3 undefined-name:3",
            ),
        ],
    );
    let many = "x = = 1\n".repeat(80);
    assert_eq!(rules_of("a.py", &many, &[]).len(), 51);
}

#[test]
fn names_without_a_meaning() {
    table(
        "a.py",
        &[
            ("missing\n", "undefined-name:1"),
            ("print(prnt)\n", "undefined-name:1"),
            ("x = 1\ndel x\nprint(x)\n", "undefined-name:3"),
            ("x = 1\ndel x\nx = 2\nprint(x)\n", ""),
            ("x = 1\nif x:\n    del x\nprint(x)\n", ""),
            ("del missing\n", "undefined-name:1"),
            ("print(x)\nx = 1\n", "undefined-name:1"),
            ("def f():\n    return x\nx = 1\n", ""),
            ("f = lambda: x\nx = 1\n", ""),
            (
                "class A(B):\n    pass\nclass B:\n    pass\n",
                "undefined-name:1",
            ),
            (
                "for i in range(2):\n    if i:\n        print(x)\n    x = 1\n",
                "",
            ),
            (
                "try:\n    x = 1\nexcept OSError as e:\n    pass\nprint(e)\n",
                "undefined-name:5",
            ),
            (
                "def f():\n    try:\n        pass\n    except OSError as e:\n        print(e)\n    print(e)\n",
                "undefined-name:6",
            ),
            (
                "e = None\ntry:\n    pass\nexcept OSError as e:\n    pass\nprint(e)\n",
                "",
            ),
            (
                "try:\n    unicode\nexcept NameError:\n    unicode = str\nprint(unicode)\n",
                "",
            ),
            (
                "class A:\n    x = 1\n    def f(self):\n        return x\n",
                "undefined-name:4",
            ),
            (
                "class A:\n    x = 1\n    y = x\n    z = [x for _ in range(2)]\n",
                "undefined-name:4",
            ),
            ("class A:\n    x = [1]\n    z = [y for y in x]\n", ""),
            (
                "class A:\n    def f(self):\n        return __class__, __module__\n    print(__qualname__)\n",
                "",
            ),
            ("x = [y for y in range(3)]\nprint(y)\n", "undefined-name:2"),
            (
                "if (n := 1):\n    print(n)\nprint([m := 1 for _ in range(2)], m)\n",
                "",
            ),
            (
                "def f():\n    global g\n    g = 1\ndef h():\n    return g\n",
                "",
            ),
            ("from os.path import *\nprint(join)\n", ""),
            ("globals()['x'] = 1\nprint(x)\n", ""),
            ("exec('x = 1')\nprint(x)\n", "dangerous-call:1"),
            (
                "print(__name__, __file__, __doc__, __builtins__, __spec__, __debug__)\n",
                "",
            ),
            ("print(WindowsError)\n", "undefined-name:1"),
            (
                "match [1]:\n    case [a, *b] if a:\n        print(a, b)\n    case {'k': c, **d}:\n        print(c, d)\n    case int(e) | (1 as e):\n        print(e)\n",
                "",
            ),
            (
                "def f[T: int, *U, **P](x: T) -> T:\n    return x\nclass A[T](list[T]):\n    y: T\ntype B[T] = list[T]\n",
                "",
            ),
            ("def f(x: T):\n    return x\n", "undefined-name:1"),
            ("def f(x: 'T') -> 'U':\n    return x\n", ""),
            (
                "def f(x: A) -> A:\n    return x\nclass A:\n    def g(self) -> A: ...\n",
                "",
            ),
            ("@decorate\ndef f():\n    pass\n", "undefined-name:1"),
            ("def f(x=missing):\n    return x\n", "undefined-name:1"),
            ("def f(x, *a, y=1, **k):\n    return x, a, y, k\n", ""),
            (
                "with open('a') as (a, b), open('b') as c.d:\n    print(a, b)\n",
                "undefined-name:1",
            ),
            ("import os.path\nprint(os.sep)\n", ""),
            (
                "import os.path as p\nprint(p.sep, os)\n",
                "undefined-name:2",
            ),
            ("for x.y in []:\n    pass\n", "undefined-name:1"),
            ("x: int\nprint(x)\n", ""),
            ("x += 1\n", "undefined-name:1"),
            (
                "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = x + 1\n        return x\n    return g\n",
                "",
            ),
            (
                "print(f'{missing!r:>{width}}')\n",
                "undefined-name:1 undefined-name:1",
            ),
            (
                "import builtins\nbuiltins.shout = print\nshout('a')\n",
                "dangerous-call:2",
            ),
            ("def f():\n    if False:\n        x = 1\n    return x\n", ""),
            (
                "while True:\n    try:\n        y = 1\n    finally:\n        print(y)\n    break\n",
                "",
            ),
            (
                "try:\n    pass\nexcept* ValueError as group:\n    print(group)\n",
                "",
            ),
            ("class A:\n    print(B)\n    B = 1\n", ""),
            (
                "print(sorted([1], key=lambda it: (it, other)))\n",
                "undefined-name:1",
            ),
            (
                "def f():\n    def g():\n        return h()\n    def h():\n        return g\n    return g\n",
                "",
            ),
        ],
    );
    expect("a.pyi", "x: A\nclass A(B): ...\nclass B: ...\n", "");
    expect("p/__init__.py", "print(__path__)\n", "");
}

#[test]
fn help_says_what_may_have_been_meant() {
    let found = analyse(
        &[file("a.py", "def length(items):\n    return len(itms)\n")],
        &[],
    );
    assert!(
        found[0]
            .help
            .as_deref()
            .unwrap_or_default()
            .contains("`items`")
    );
}

#[test]
fn names_without_a_use() {
    table(
        "a.py",
        &[
            ("import os\n", "unused-import:1"),
            ("import os, sys\nprint(sys)\n", "unused-import:1"),
            ("from os import path, sep\nprint(sep)\n", "unused-import:1"),
            ("import os  # noqa\n", ""),
            ("import os  # noqa: F401\n", ""),
            ("import os  # noqa: E501\n", "unused-import:1"),
            (
                "from os import (  # noqa: F401\n    path,\n    sep,\n)\n",
                "",
            ),
            ("import os\n__all__ = ['os']\n", ""),
            ("import os\n__all__ = []\n__all__ += ['os']\n", ""),
            ("from __future__ import annotations\n", ""),
            ("from os import path as path\nimport sys as sys\n", ""),
            ("from os import path as p\n", "unused-import:1"),
            (
                "try:\n    import os\nexcept ImportError:\n    os = None\n",
                "",
            ),
            (
                "import os\ndef f(x: 'os.PathLike[str]'):\n    return x\n",
                "",
            ),
            (
                "import typing\nimport os\nx = typing.cast('os.PathLike', 1)\n",
                "",
            ),
            ("def f():\n    import os\n", "unused-import:2"),
            ("import os.path\nimport os\nprint(os)\n", ""),
            ("def f():\n    x = 1\n", "unused-variable:2"),
            ("def f():\n    x: int = 1\n", "unused-variable:2"),
            ("def f():\n    _x = 1\n", ""),
            ("def f():\n    x, y = 1, 2\n", ""),
            ("def f():\n    x = 1\n    return lambda: x\n", ""),
            ("def f():\n    x = 1\n    print(locals())\n", ""),
            ("def f():\n    for x in []:\n        pass\n", ""),
            ("def f():\n    with open('a') as x:\n        pass\n", ""),
            (
                "def f():\n    try:\n        pass\n    except OSError as e:\n        pass\n",
                "unused-variable:4",
            ),
            ("def f():\n    global x\n    x = 1\n", ""),
            ("def f(x):\n    x = 1\n", ""),
            ("def f():\n    x = 0\n    x += 1\n", ""),
            ("x = 1\nclass A:\n    y = 1\n", ""),
            (
                "def f():\n    x = 0\n    def g():\n        nonlocal x\n        x = 1\n    return g\n",
                "",
            ),
        ],
    );
    expect("p/__init__.py", "import os\n", "");
    let fixtures = "from fixtures import numbers\ndef test_a(numbers):\n    assert numbers\n";
    assert_eq!(rules_of("test_a.py", fixtures, &["fixtures.py"]), []);
}

#[test]
fn imports() {
    table(
        "a.py",
        &[
            ("import nothing\nprint(nothing)\n", "import-missing:1"),
            (
                "from nothing.at import all\nprint(all)\n",
                "import-missing:1",
            ),
            (
                "import pytest, zoneinfo, tomllib, annotationlib\nprint(pytest, zoneinfo, tomllib, annotationlib)\n",
                "",
            ),
            ("import distutils\nprint(distutils)\n", "import-missing:1"),
            (
                "try:\n    import numpy\nexcept ImportError:\n    numpy = None\n",
                "import-missing:2",
            ),
            (
                "from . import sibling\nprint(sibling)\n",
                "import-missing:1",
            ),
            (
                "from .. import sibling\nprint(sibling)\n",
                "import-missing:1",
            ),
            ("from .sibling import a\nprint(a)\n", "import-missing:1"),
        ],
    );
    let level = |text: &str| analyse(&[file("a.py", text)], &[])[0].level;
    use crate::bindings::infinity::agent::types::Level;
    assert_eq!(level("import nothing\n"), Level::Error);
    for text in [
        "try:\n    import nothing\nexcept (ImportError, OSError):\n    pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nothing import a\n",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import nothing\n",
    ] {
        assert_eq!(level(text), Level::Note, "{text}");
    }
    for (path, text, local) in [
        ("a.py", "import b\nprint(b)\n", "b.py"),
        ("a.py", "import b.c\nprint(b)\n", "b/c/__init__.py"),
        ("a.py", "from b import c\nprint(c)\n", "b/c.py"),
        ("tests/test_a.py", "import b\nprint(b)\n", "src/b.py"),
        ("p/q/a.py", "import r\nprint(r)\n", "p/r.py"),
        ("p/q/a.py", "from ..r import x\nprint(x)\n", "p/r.py"),
        ("p/q/a.py", "from .. import r\nprint(r)\n", "p/r.py"),
        ("p/q/a.py", "from .. import x\nprint(x)\n", "p/__init__.py"),
    ] {
        assert_eq!(rules_of(path, text, &[local]), [], "{text}");
    }
}

#[test]
fn dangers() {
    table(
        "a.py",
        &[
            (
                "eval('1')\nexec('')\ncompile('', '', 'eval')\n__import__('os')\n",
                "dangerous-call:1 dangerous-call:2 dangerous-call:3 dangerous-call:4",
            ),
            ("def eval(x):\n    return x\neval(1)\n", ""),
            ("import re\nre.compile('a')\n", ""),
            (
                "import os\nos.system('ls')\nos.execv('a', [])\nos.spawnl(1, 'a')\nos.popen('a')\n",
                "dangerous-call:2 dangerous-call:3 dangerous-call:4 dangerous-call:5",
            ),
            (
                "from os import system as run\nrun('ls')\n",
                "dangerous-call:2",
            ),
            (
                "import subprocess as sp\nsp.run(['ls'])\n",
                "dangerous-call:2",
            ),
            (
                "import pickle, marshal, shelve\npickle.loads(b'')\nmarshal.load(None)\nshelve.open('a')\npickle.dumps(1)\n",
                "dangerous-call:2 dangerous-call:3 dangerous-call:4",
            ),
            (
                "import tempfile\ntempfile.mktemp()\ntempfile.mkstemp()\n",
                "dangerous-call:2",
            ),
            (
                "import ctypes\nfrom socket import socket\nprint(ctypes, socket)\n",
                "dangerous-call:1 dangerous-call:2",
            ),
            (
                "import sys, gc, inspect\nsys.settrace(None)\ngc.get_objects()\nsys._getframe()\ninspect.currentframe()\n",
                "dangerous-call:2 dangerous-call:3 dangerous-call:4 dangerous-call:5",
            ),
            (
                "print(object.__subclasses__())\nprint((lambda: 1).__globals__)\n",
                "dangerous-call:1 dangerous-call:2",
            ),
            (
                "import builtins\nsetattr(builtins, 'len', None)\n",
                "dangerous-call:2",
            ),
            (
                "import atexit\natexit.register(print)\n",
                "dangerous-call:2",
            ),
            ("import sys\nsys.exit(1)\n", "dangerous-call:2"),
            (
                "import sys\ndef main():\n    sys.exit(1)\nif __name__ == '__main__':\n    sys.exit(main())\n",
                "",
            ),
            (
                "import importlib\nimportlib.import_module('os')\n",
                "dangerous-call:2",
            ),
        ],
    );
    for (call, expected) in [
        ("yaml.load(text)", 1),
        ("yaml.load(text, Loader=yaml.SafeLoader)", 0),
        ("yaml.load(text, yaml.CSafeLoader)", 0),
        ("yaml.load(text, Loader=yaml.Loader)", 1),
        ("yaml.safe_load(text)", 0),
    ] {
        let text = format!("import yaml\ntext = ''\n{call}\n");
        assert_eq!(
            rules_of("a.py", &text, &["yaml.py"]).len(),
            expected,
            "{call}"
        );
    }
}

#[test]
fn habits() {
    table(
        "a.py",
        &[
            ("def f(x=[]):\n    return x\n", "mutable-default:1"),
            (
                "def f(*, x={}, y=set(), z=()):\n    return x, y, z\n",
                "mutable-default:1 mutable-default:1",
            ),
            ("f = lambda x=[]: x\n", "mutable-default:1"),
            ("try:\n    pass\nexcept:\n    pass\n", "bare-except:3"),
            (
                "try:\n    pass\nexcept:\n    print('undone')\n    raise\n",
                "",
            ),
            ("assert (1, 'message')\n", "assert-tuple:1"),
            ("assert ()\n", ""),
            ("def f():\n    return 1\n    print(2)\n", "unreachable:3"),
            (
                "def f():\n    if f:\n        raise OSError\n        f()\n",
                "unreachable:4",
            ),
            ("for x in []:\n    break\n    print(x)\n", "unreachable:3"),
            ("while True:\n    continue\n    print(1)\n", "unreachable:3"),
            ("def f():\n    return\n    yield\n", ""),
            ("def f():\n    if f:\n        return 1\n    return 2\n", ""),
            ("x = 1\nprint(x == x)\n", "comparison-with-itself:2"),
            (
                "x = 1\nprint(x.real < x.real, x < x.real)\n",
                "comparison-with-itself:2",
            ),
            ("print(len('a') == len('a'))\n", ""),
            ("x = 1\nassert x == x\n", ""),
            ("print({'a': 1, 'b': 2, 'a': 3})\n", "duplicate-key:1"),
            ("print({1: 1, '1': 2, b'1': 3, None: 4, True: 5})\n", ""),
            ("x = 1\nprint({x: 1, x: 2, **{}})\n", ""),
            ("def f():\n    pass\ndef f():\n    pass\n", "redefined:3"),
            (
                "class A:\n    def f(self): ...\n    def g(self): ...\n    def f(self): ...\n",
                "redefined:4",
            ),
            ("def f():\n    pass\nf()\ndef f():\n    pass\n", ""),
            ("if print:\n    def f(): ...\nelse:\n    def f(): ...\n", ""),
            (
                "class A:\n    @property\n    def f(self): ...\n    @f.setter\n    def f(self, value): ...\n",
                "",
            ),
            (
                "import functools\n@functools.singledispatch\ndef f(x): ...\n@f.register\ndef _(x: int): ...\n@f.register\ndef _(x: str): ...\n",
                "",
            ),
        ],
    );
}
