#!/usr/bin/env python3
"""Python programs whose visible behaviour is to equal that of a native python3.

Why: a service that runs other people's programs is judged by what they show:
standard output, exit code and the error that ended them. A few examples of
each feature do not find the differences; over a thousand programs of great
variety do. A local python3 gives the expected behaviour of each.

Sources: the folder ``python`` beside this script holds programs written by
hand, each ``NNN-topic.py`` or, with several files, a folder ``NNN-topic`` with
a ``main.py``; ``NNN-topic.stdin`` is the standard input and ``NNN-topic.args``
the arguments, one a line. The rest come from the templates below, filled with
values of a seeded generator: the same ``--seed`` and ``--count`` give the same
programs in every version of Python from 3.11 on.

Output: one JSON document per line on stdout,

    {"name": "...", "files": {"main.py": "..."}, "stdin": "...", "args": []}

and with ``--reference`` also what ``sys.executable`` makes of it,

    "native": {"stdout": "...", "exit": 0, "error": null, "frames": []}

where ``error`` is the last line of standard error that is not blank (or null),
and ``frames`` are the ``[path, line, function]`` of the lines ``File "...",
line N, in f`` that name a file of the program itself, paths relative to its
folder, function null where the line has none (syntax errors).

What a comparison should look at: standard output and exit code in full, and of
standard error only ``error`` and ``frames``. The rest of a traceback (carets,
source lines, frames of the standard library) differs between versions.

The programs do not depend on hash seed, time, addresses or the machine, nor,
as far as could be found, on the version of Python. Therefore

- sets are printed sorted; floats are not added up by ``sum``, which is more
  precise from 3.12 on; results of sin, exp and the like are rounded;
- texts of errors are printed only where they are the same everywhere (division
  by zero, wrong calls, unpacking, list.index and unhashable values show just
  the type);
- uncaught errors are not NameErrors or AttributeErrors, whose last line may
  suggest another name, and do not leave a comprehension, which lost its frame
  in 3.12.

Programs with one file run with ``-I``, which keeps the environment and the
user's packages out. It also takes the program's folder off the module path, so
programs with several files run with ``-E -s`` instead.

The programs use files in their folder, asyncio and zlib, but no threads,
processes, sockets or signals.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

FOLDER = pathlib.Path(__file__).resolve().parent / "python"
FRAME = re.compile(r'^[\s|+-]*File "(.+)", line (\d+)(?:, in (.+))?$')


# ------------------------------------------------------ programs by hand

def handwritten():
    for path in sorted(FOLDER.iterdir()):
        if path.is_dir():
            files = {str(p.relative_to(path).as_posix()): p.read_text(encoding="utf-8")
                     for p in sorted(path.rglob("*"))
                     if p.is_file() and "__pycache__" not in p.parts}
        elif path.suffix == ".py":
            files = {"main.py": path.read_text(encoding="utf-8")}
        else:
            continue
        stdin, args = path.with_suffix(".stdin"), path.with_suffix(".args")
        yield {"name": path.stem, "files": files,
               "stdin": stdin.read_text(encoding="utf-8") if stdin.exists() else "",
               "args": args.read_text(encoding="utf-8").splitlines() if args.exists() else []}


# ------------------------------------------------------- random material

TEMPLATES = []


def template(function):
    TEMPLATES.append(function)
    return function


WORDS = ("apple Banana cherry délta echo FOX golf hôtel india Jülich kilo lima mike "
         "ñandú oscar papa quebec rømeo sierra tango über victor whisky x-ray yankee zulu "
         "日本 Ωmega straße 😀 a_b don't 42nd").split()
TYPES = "(ArithmeticError, LookupError, TypeError, ValueError, AttributeError)"


def integer(r, big=False):
    kind = r.randrange(6)
    if kind == 0:
        return r.choice([0, 1, -1, 2, 10, -10])
    if kind == 1 and big:
        return r.choice([1, -1]) * r.getrandbits(r.randint(60, 300))
    return r.randint(-99, 99) if kind < 4 else r.randint(-10 ** 6, 10 ** 6)


def real(r):
    kind = r.randrange(7)
    if kind == 0:
        return r.choice([0.0, -0.0, 0.5, 1.5, 2.5, -0.5, 1e16, 1e-5, 0.1])
    if kind == 1:
        return float(r.randint(-10 ** 9, 10 ** 9)) * 10.0 ** r.randint(-20, 20)
    return round(r.uniform(-1000, 1000), r.randint(0, 6))


def word(r):
    return r.choice(WORDS)


def text(r, n=None):
    return " ".join(word(r) for _ in range(n or r.randint(1, 5)))


def scalar(r):
    return r.choice([integer, integer, real, word, lambda q: q.choice([None, True, False])])(r)


def literal(r, depth=2):
    """A value whose repr is a literal."""
    kind = r.randrange(8)
    if depth == 0 or kind < 3:
        return scalar(r)
    n = r.randint(0, 4)
    if kind < 5:
        return [literal(r, depth - 1) for _ in range(n)]
    if kind == 5:
        return tuple(literal(r, depth - 1) for _ in range(n))
    return {r.choice([word(r), integer(r)]): literal(r, depth - 1) for _ in range(n)}


def numeric(r, depth, names="abc"):
    """An expression over integers, with every operator that may fail."""
    if depth == 0 or r.random() < 0.15:
        return r.choice(names) if r.random() < 0.6 else str(r.randint(0, 20))
    kind = r.randrange(12)
    left, right = numeric(r, depth - 1, names), numeric(r, depth - 1, names)
    if kind < 6:
        return f"({left} {r.choice(['+', '-', '*', '//', '%', '&', '|', '^'])} {right})"
    if kind == 6:
        return f"({left} {r.choice(['<<', '>>'])} ({right} & 15))"
    if kind == 7:
        return f"({left} ** ({right} % 5))"
    if kind == 8:
        return f"({left} if {right} {r.choice(['<', '>', '==', '<=', '!='])} {numeric(r, depth - 1, names)} else {right})"
    if kind == 9:
        return f"{r.choice(['-', '~', '+'])}{left}"
    if kind == 10:
        return f"{r.choice(['abs', 'int', 'bool'])}({left})"
    return f"{r.choice(['max', 'min'])}({left}, {right})"


def condition(r, names="abc"):
    a, b = numeric(r, 1, names), numeric(r, 1, names)
    c = f"{a} {r.choice(['<', '>', '==', '!=', '<=', '>='])} {b}"
    return r.choice([c, f"not {c}", f"{c} and {r.choice(names)}", f"{c} or {r.choice(names)} % 3", f"0 < {a} < {b}"])


# ------------------------------------------------------------- templates

@template
def arithmetic(r):
    lines = [f"a, b, c = {integer(r)}, {integer(r)}, {r.randint(1, 50)}"]
    for i in range(r.randint(5, 9)):
        lines += ["try:", f"    print({i}, {numeric(r, 3)})", "except ArithmeticError as e:",
                  f"    print({i}, type(e).__name__)"]
    return "\n".join(lines)


@template
def big_integers(r):
    a, b = r.getrandbits(r.randint(80, 400)), r.getrandbits(r.randint(30, 300)) | 1
    m = r.getrandbits(64) | 1
    return f"""a, b, m = {a}, -{b}, {m}
print(a + b, a - b, a * b, sep='\\n')
print(a // b, a % b, divmod(b, a % 1000 + 1))
print(a << {r.randint(1, 90)}, b >> {r.randint(1, 90)}, a & b, a | b, a ^ b, ~a)
print(pow(a, {r.randint(1, 10 ** 6)}, m), a.bit_length(), a.bit_count(), hex(b), oct(a)[:20], format(a, '_x'), f'{{b:,}}')
print(int(str(a)) == a, int(hex(a), 16) == a, a < b, hash(a) == hash(a + 0), float(b % m) , a.to_bytes(64, {r.choice(['"big"', '"little"'])}).hex())
import math
print(math.isqrt(a), math.gcd(a, b), math.lcm(a % 10 ** 9 + 1, m % 10 ** 9 + 1))"""


@template
def float_output(r):
    values = [real(r) for _ in range(6)]
    return f"""import math
values = {values!r}
for x in values:
    print(x, repr(x), str(x), [x], f'{{x:.{r.randint(0, 8)}f}} {{x:.{r.randint(1, 9)}e}} {{x:.{r.randint(1, 12)}g}} {{x:>20}}', '%{r.randint(1, 12)}.{r.randint(0, 5)}f' % x)
    print(round(x), round(x, {r.randint(-2, 4)}), int(x), math.floor(x), math.ceil(x), x.is_integer(), x.hex())
for x in values:
    for y in values[:3]:
        try:
            print(x + y, x - y, x * y, x / y, x // y, x % y, x < y)
        except ZeroDivisionError:
            print('zero', x, y)"""


@template
def rounding(r):
    values = [r.choice([r.randint(-500, 500) / r.choice([2, 4, 8, 10, 20, 100]), r.randint(-10 ** 5, 10 ** 5)]) for _ in range(10)]
    return f"""from decimal import Decimal, ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_CEILING
for x in {values!r}:
    print(x, round(x), round(x, 1), round(x, -1), round(x, -2), int(x), x // 1, -x // 1, f'{{x:.0f}} {{x:.1f}}', '%d' % x)
    d = Decimal(str(x))
    print([str(d.quantize(Decimal('1'), m)) for m in (ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_CEILING)], d.normalize())"""


@template
def number_parsing(r):
    def odd():
        n = str(abs(integer(r)))
        return r.choice([n, "-" + n, " " + n + " ", n[:1] + "_" + n[1:], "0x" + n, "0b10" + n, n + ".", "." + n, n + "e" + str(r.randint(-5, 5)),
                         n + "z", "+" + n, "--" + n, "", n + " " + n, "1" + n + "_", "٣" + n, "nan", "-Infinity", "0o" + n, "00" + n, n + "j"])
    return f"""for t in {[odd() for _ in range(12)]!r}:
    row = []
    for f in (int, float, complex, lambda s: int(s, 0), lambda s: int(s, {r.choice([2, 3, 8, 16, 36])})):
        try:
            row.append(f(t))
        except ValueError as e:
            row.append(str(e))
    print(repr(t), row)"""


@template
def base_conversion(r):
    n = r.getrandbits(r.randint(10, 90))
    return f"""def digits(n, b):
    s = ''
    while n:
        n, d = divmod(n, b)
        s = '0123456789abcdefghijklmnopqrstuvwxyz'[d] + s
    return s or '0'
n = {n}
for b in {sorted(r.sample(range(2, 37), 6))!r}:
    s = digits(n, b)
    print(b, s, int(s, b) == n, sum(int(c, 36) for c in s), s == s[::-1])
print(bin(n), oct(n), hex(n), f'{{n:_b}} {{n:#X}} {{-n:#o}} {{n:{r.randint(20, 60)}b}}|', n.to_bytes(12, 'big'), int.from_bytes({r.randbytes(5)!r}, 'little'))"""


FORMATS = ["d", "x", "X", "o", "b", "e", "f", "g", "%", "c", "n", "s", "", "G", "E"]


@template
def format_specs(r):
    def spec():
        return (r.choice(["", "", r.choice("*0_é") + r.choice("<>^=")]) + r.choice(["", "", "<", ">", "^"])
                + r.choice(["", "+", " ", "-"]) + r.choice(["", "#"]) + r.choice(["", "0"])
                + r.choice(["", str(r.randint(1, 20))]) + r.choice(["", ",", "_"])
                + r.choice(["", f".{r.randint(0, 8)}"]) + r.choice(FORMATS))
    values = [integer(r), real(r), word(r), r.choice([True, 10 ** 20, 65, -1])]
    return f"""for spec in {[spec() for _ in range(14)]!r}:
    for value in {values!r}:
        try:
            print(repr(spec), repr(value), '|' + format(value, spec) + '|')
        except (ValueError, TypeError, OverflowError) as e:
            print(repr(spec), repr(value), type(e).__name__)"""


@template
def percent_format(r):
    def spec():
        return "%" + r.choice(["", "-", "+", "0", " ", "#"]) + r.choice(["", str(r.randint(1, 12))]) + r.choice(["", f".{r.randint(0, 6)}"]) + r.choice("dixXofFeEgGsrac%q")
    values = [integer(r), real(r), text(r, 2), None, 65]
    return f"""for spec in {[spec() for _ in range(15)]!r}:
    for value in {values!r}:
        try:
            print(spec, repr(value), '|' + spec % (value,) + '|')
        except (ValueError, TypeError, OverflowError) as e:
            print(spec, type(e).__name__)
print('%(a)s %(b)5d %(a)r' % {{'a': {word(r)!r}, 'b': {r.randint(0, 999)}}}, '%*.*f' % ({r.randint(5, 12)}, {r.randint(0, 4)}, {real(r)!r}))"""


@template
def f_strings(r):
    w = r.randint(3, 14)
    return f"""name, n, x, items, d = {word(r)!r}, {integer(r)}, {real(r)!r}, {[integer(r) for _ in range(4)]!r}, {{'k': {word(r)!r}, 'n': {{'m': {integer(r)}}}}}
w, p, fill = {w}, {r.randint(0, 5)}, {r.choice('*-. ')!r}
print(f'{{name:{{fill}}^{{w}}}}|{{n:+{{w}}d}}|{{x:>{{w}}.{{p}}f}}|{{name!r:<{{w}}}}|{{name!a}}|{{n:0{{w}}x}}|')
print(f'{{items[1]}} {{items[-1:]}} {{d["k"].upper()}} {{d["n"]["m"] * 2}} {{sum(items)}} {{n if n > 0 else -n}} {{[i * 2 for i in items if i % 2]}} {{{{n}}}} {{(lambda v: v + 1)(n)}}')
print(f'{{n=}} {{x = }} {{name=!s}} {{n + 1 = :>{{w}}}} {{items=}}', f"{{'a' 'b'}}" f'{{1}}' '{{2}}', rf'\\d{{n}}', f'{{True:{r.randint(5, 9)}}} {{None!s:>8}}')
print('{{0}} {{name}} {{0!r:>{{w}}}} {{1[2]}} {{1}}'.format(n, items, name=name, w=w), '{{:{{}}.{{}}}}|'.format(name * 2, w, p))"""


METHODS = ["upper()", "lower()", "title()", "swapcase()", "capitalize()", "casefold()", "strip()", "lstrip('aAbB ')", "split()", "split('a')",
           "rsplit(None, 1)", "partition('e')", "rpartition(' ')", "center({n}, '*')", "ljust({n}, '.')", "rjust({n})", "zfill({n})", "replace('a', 'XY')",
           "replace('', '-', 3)", "find('a')", "rfind('e')", "count('a')", "startswith('a')", "endswith(('o', 'a'))", "isalpha()", "isalnum()", "isdigit()",
           "isidentifier()", "islower()", "istitle()", "isascii()", "isspace()", "splitlines()", "expandtabs({n})", "encode()", "encode('utf-16-le')",
           "encode('ascii', 'replace')", "encode('latin-1', 'xmlcharrefreplace')", "encode('ascii', 'backslashreplace')", "removeprefix('a')",
           "removesuffix('o')", "translate({{97: 'AA', 101: None}})", "join('123')", "index('e')", "__len__()", "__mul__(2)", "isprintable()", "isdecimal()"]


@template
def string_methods(r):
    methods = [m.replace("{n}", str(r.randint(1, 25))).replace("{{", "{").replace("}}", "}") for m in r.sample(METHODS, 14)]
    return "\n".join([f"for s in {[text(r), word(r), '  ' + text(r, 2) + chr(9), word(r) + chr(10) + word(r), '']!r}:"]
                     + [f"    try:\n        print(repr(s.{m}))\n    except {TYPES} as e:\n        print(type(e).__name__, e)" for m in methods])


@template
def string_chains(r):
    lines = [f"s = {text(r, 4)!r}"]
    for _ in range(8):
        chain = "".join("." + r.choice(["upper()", "lower()", "title()", "strip()", "swapcase()", "replace('a', 'o')", "replace(' ', '')", "center(30, '~')",
                                        "removeprefix('a')", "zfill(20)", "casefold()", "capitalize()"]) for _ in range(r.randint(1, 4)))
        tail = r.choice(["", f"[{r.randint(-9, 9)}:]", f"[::{r.choice([-1, 2, -2])}]", f"[:{r.randint(-9, 9)}]", " * 2"])
        lines.append(f"print(repr(s{chain}{tail}), len(s{chain}), sorted(set(s{chain}))[:5], ascii(s{chain}))")
    return "\n".join(lines)


@template
def unicode_codecs(r):
    s = text(r, 3)
    codecs = r.sample(["utf-8", "utf-16", "utf-16-be", "utf-32-le", "latin-1", "ascii", "cp1252", "cp437", "iso8859-15", "utf-7", "unicode_escape", "raw_unicode_escape", "koi8-r", "shift_jis"], 6)
    return f"""import unicodedata
s = {s!r}
for codec in {codecs!r}:
    for errors in {r.sample(['strict', 'ignore', 'replace', 'backslashreplace', 'xmlcharrefreplace', 'namereplace'], 3)!r}:
        try:
            b = s.encode(codec, errors)
            print(codec, errors, b, repr(b.decode(codec)))
        except UnicodeError as e:
            print(codec, errors, type(e).__name__, e)
for form in ('NFC', 'NFD', 'NFKC', 'NFKD'):
    print(form, ascii(unicodedata.normalize(form, s)), len(unicodedata.normalize(form, s)))
raw = {r.randbytes(6)!r}
for errors in ('strict', 'replace', 'ignore', 'backslashreplace', 'surrogateescape'):
    try:
        print(errors, ascii(raw.decode('utf-8', errors)))
    except UnicodeDecodeError as e:
        print(errors, e)
print([(unicodedata.category(c), unicodedata.name(c, '?'), ord(c)) for c in s[:4]], s.casefold() == s.lower(), [hex(ord(c)) for c in sorted(s)[-3:]])"""


@template
def slicing(r):
    def index():
        return r.choice(["", str(r.randint(-12, 12))])
    slices = [f"{index()}:{index()}" + r.choice(["", f":{r.choice([1, 2, 3, -1, -2, -3])}"]) for _ in range(8)]
    lines = [f"s, a, t, b, g = {''.join(r.choice('abcdefghij') for _ in range(9))!r}, list(range(10)), tuple('xyz'), b'bytes-here', range({r.randint(-5, 5)}, {r.randint(6, 40)}, {r.randint(1, 4)})"]
    lines += [f"print({s!r}, repr(s[{s}]), a[{s}], t[{s}], b[{s}], g[{s}])" for s in slices]
    for s in slices[:4]:
        lines += ["c = a[:]", "try:", f"    c[{s}] = {[0] * r.randint(0, 4)!r}", "    print(c)", f"    del c[{s}]", "    print(c)", "except ValueError as e:", "    print(e)"]
    return "\n".join(lines)


@template
def list_scripts(r):
    def step():
        i, v = r.randint(-6, 6), r.randint(0, 20)
        return r.choice([f"a.append({v})", f"a.insert({i}, {v})", f"print(a.pop({i}))", f"a.remove({v})", f"a.sort(key=lambda x: x % {r.randint(2, 6)})", "a.reverse()",
                         f"a[{i}] = {v}", f"del a[{i}]", f"a.extend([{v}, {v + 1}])", f"print(a.index({v}))", f"print(a.count({v}))", f"a *= {r.randint(1, 2)}",
                         f"a[{i}:{i + 2}] = [{v}]", f"a += range({r.randint(0, 3)})", f"print({v} in a, a > b, a == b, a[:3])", "b = a[:]", "b.append(-1)", "b = a"])
    lines = [f"a = {[r.randint(0, 20) for _ in range(7)]!r}", "b = a"]
    for _ in range(14):
        lines += ["try:", f"    {step()}", "    print(a)", "except (IndexError, ValueError) as e:", "    print(type(e).__name__)"]
    return "\n".join(lines + ["print(a is b, a, b, sorted(a, reverse=True), max(a, default=None), sum(a))"])


@template
def dict_scripts(r):
    def step():
        k, v = r.choice("abcdefg"), integer(r)
        return r.choice([f"d[{k!r}] = {v}", f"print(d.pop({k!r}))", f"del d[{k!r}]", f"print(d.get({k!r}, {v}))", f"print(d.setdefault({k!r}, {v}))", f"d.update({k}={v})",
                         "print(d.popitem())", f"d |= {{{k!r}: {v}, 'z': 1}}", f"print({k!r} in d, list(d.items())[:3])", f"print(d[{k!r}])",
                         "d = {v: k for k, v in d.items()}", "d = dict(sorted(d.items(), key=lambda kv: str(kv)))", "print(list(reversed(d)), len(d))"])
    lines = [f"d = {({r.choice('abcdefg'): integer(r) for _ in range(4)})!r}"]
    for _ in range(13):
        lines += ["try:", f"    {step()}", "    print(d)", "except KeyError as e:", "    print('KeyError', e)"]
    return "\n".join(lines)


@template
def set_algebra(r):
    a, b = ([r.choice([r.randint(0, 15), r.randint(0, 15)]) for _ in range(r.randint(0, 9))] for _ in range(2))
    return f"""a, b = set({a!r}), frozenset({b!r})
for name in {r.sample(['union', 'intersection', 'difference', 'symmetric_difference'], 4)!r}:
    print(name, sorted(getattr(a, name)(b)), sorted(getattr(b, name)(a, *([] if name == 'symmetric_difference' else [range(3)]))))
print(a <= b, a < b, a >= b, a == b, a.isdisjoint(b), len(a | b), {r.randint(0, 15)} in a, sorted(a ^ b), type(a & b).__name__, type(b & a).__name__)
a -= {{{r.randint(0, 9)}, {r.randint(0, 9)}}}; a |= set(range({r.randint(0, 5)})); a.discard({r.randint(0, 9)})
print(sorted(a), sum(a), sorted({{x % {r.randint(2, 5)} for x in a}}), sorted(map(sorted, {{frozenset([x, x % 3]) for x in b}})), hash(b) == hash(frozenset(list(b))))
try:
    a.remove({r.randint(0, 30)})
    print('removed')
except KeyError as e:
    print('KeyError', e)"""


@template
def sorting_keys(r):
    people = [(word(r), r.randint(18, 30), round(r.uniform(0, 9), 1)) for _ in range(9)]
    return f"""from operator import itemgetter
import functools
people = {people!r}
for key in (itemgetter(1), itemgetter(2, 0), lambda p: (-p[1], p[0]), lambda p: len(p[0]), lambda p: p[0].casefold(), lambda p: p[1] % {r.randint(2, 5)}):
    print([p[0] for p in sorted(people, key=key)], [p[0] for p in sorted(people, key=key, reverse=True)])
print(min(people), max(people, key=itemgetter(2)), sorted(people)[:2], sorted((p[0] for p in people), key=functools.cmp_to_key(lambda a, b: (a[::-1] > b[::-1]) - (a[::-1] < b[::-1]))))
rows = sorted(people, key=itemgetter(1)); rows.sort(key=itemgetter(0)); print(rows)
try:
    print(sorted([{scalar(r)!r}, {scalar(r)!r}, {scalar(r)!r}]))
except TypeError as e:
    print(e)"""


@template
def nested_printing(r):
    return f"""import copy, json, pprint
v = {literal(r, 3)!r}
print(v); print([v, (v,)]); print(str(v) == repr(v), v == copy.deepcopy(v)); pprint.pprint(v, width={r.randint(20, 60)})
pprint.pprint({{'key': v, 'other': [v] * 2}}, width={r.randint(30, 90)}, compact={r.choice([True, False])}, sort_dicts=False)
try:
    t = json.dumps(v, indent={r.choice([None, 1, 2])}, ensure_ascii={r.choice([True, False])}); print(t); print(json.loads(t) == v)
except TypeError as e:
    print('TypeError')"""


@template
def json_text(r):
    t = json.dumps(literal(r, 3), ensure_ascii=r.choice([True, False]))
    cut = [t]
    for _ in range(7):
        i = r.randrange(len(t) + 1)
        cut.append(r.choice([t[:i], t[:i] + t[i + 1:], t[:i] + r.choice('{}[]",:1x') + t[i:], t[i:]]))
    return f"""import json
for t in {cut!r}:
    try:
        v = json.loads(t); print(v); print(json.dumps(v, sort_keys=isinstance(v, dict), separators=(',', ':')))
    except json.JSONDecodeError as e:
        print('bad', e.lineno, isinstance(e, ValueError))"""


@template
def comprehensions(r):
    n, m, k = r.randint(4, 9), r.randint(2, 5), r.randint(2, 4)
    return f"""x = {word(r)!r}
print([x * {k} for x in range({n}) if x % {m}], {{x: x ** 2 for x in range({k})}}, sorted({{x % {m} for x in range({n})}}), x)
print([(a, b) for a in range({k}) for b in range(a, {m}) if a != b], [[i * j for j in range({k})] for i in range({m})], [y for row in [[1, 2], [], [{k}]] for y in row])
print(sum(i * i for i in range({n})), max((len(w), w) for w in {text(r, 4)!r}.split()), dict(zip('abc', range({k}))), [*map(lambda v: v % {m}, range({n}))], any(v > {m} for v in range({k})))
print([f(10) for f in [lambda v, i=i: v * i for i in range({k})]], [f() for f in [lambda: i for i in range({k})]], [w for v in range({n}) if (w := v * v) > {m}], w)
g = (print('visit', v) or v * 2 for v in range({k})); print(next(g)); print(list(g), list(g)); print({{k: [v for v in range({n}) if v % {m} == k] for k in range({m})}})
print(*(f'{{a}}{{b}}' for a in 'xy' for b in range({k})), sep=',')"""


@template
def closures(r):
    k = r.randint(2, 5)
    return f"""def make(n):
    calls = []
    def add(x):
        nonlocal n
        n += x * {k}; calls.append(n); return n
    def undo():
        nonlocal n
        if calls: calls.pop()
        n = calls[-1] if calls else {r.randint(-5, 5)}
        return n
    return add, undo, lambda: (n, list(calls))
a, u, s = make({integer(r)}); a2, _, s2 = make(0)
for op in {[r.choice(['a', 'u', 'x']) for _ in range(9)]!r}:
    print(op, a({r.randint(1, 9)}) if op == 'a' else u() if op == 'u' else a2({r.randint(1, 9)}), s(), s2())
def compose(*fs):
    def run(x):
        for f in fs: x = f(x)
        return x
    return run
print(compose(str, len, lambda v: v ** {k})({r.getrandbits(40)}), compose()(5), [c.cell_contents if not callable(c.cell_contents) else 'f' for c in a.__closure__])"""


@template
def generators(r):
    n, stop = r.randint(2, 5), r.randint(2, 6)
    actions = [r.choice([f"g.send({r.randint(1, 9)})", "next(g)", "g.throw(ValueError('v'))", "g.throw(KeyError('k'))", "g.close()"]) for _ in range(7)]
    lines = [f"""def gen(n):
    total = 0
    try:
        for i in range({stop}):
            try:
                got = yield (i, total)
                total += got or n
            except ValueError as e:
                print('caught', e); total = -total
        return total
    finally:
        print('finally', total)
def outer(n):
    r = yield from gen(n)
    print('returned', r)
    yield r
g = outer({n})"""]
    for a in ["next(g)"] + actions:
        lines += ["try:", f"    print({a!r}, {a})", "except (StopIteration, KeyError, ValueError) as e:", "    print(type(e).__name__, e)"]
    return "\n".join(lines + ["print(list(g), list(gen(1)))"])


EXCEPTIONS = ["ValueError", "KeyError", "TypeError", "IndexError", "ZeroDivisionError", "RuntimeError", "OSError", "LookupError", "ArithmeticError"]


@template
def exception_flow(r):
    a, b, c, d = r.sample(EXCEPTIONS, 4)
    return f"""def f(n):
    try:
        print('try', n)
        if n == 1: raise {a}('one')
        if n == 2: raise {b}('two', 2)
        if n == 3: return 'returned'
        if n == 4: raise {c}
    except ({a}, {d}) as e:
        print('except', type(e).__name__, e)
        {r.choice(['raise', 'raise RuntimeError("again") from e', 'raise RuntimeError("again") from None', 'return "handled"', 'pass'])}
    except {r.choice([b, 'LookupError', 'Exception'])} as e:
        print('second', repr(e), e.args)
    else:
        print('else')
    finally:
        print('finally', n)
    return 'end'
for n in range(5):
    try:
        print(f(n))
    except Exception as e:
        print('outside', repr(e), repr(e.__cause__), repr(e.__context__), e.__suppress_context__, isinstance(e, (LookupError, ArithmeticError)))"""


@template
def uncaught(r):
    kind, depth = r.choice(EXCEPTIONS), r.randint(1, 5)
    body = r.choice([f"raise {kind}({word(r)!r})", f"raise {kind}({word(r)!r}, {integer(r)})", f"raise {kind}", "return [1, 2][n + 9]", "return {}[n, 'key']", "return int('x%d' % n)",
                     "return 'a' + n", "assert n < 0, f'n is {n}'", "return len(n)", f"raise E({word(r)!r})", "raise ExceptionGroup('g', [E(1), KeyError(2)])", "return sorted([n, 'a'])", "return n.to_bytes(0)" if False else "return bytes([n + 256])"])
    wrap = r.choice(["", "from", "context", "finally", "note"])
    call = {"": "f({n})", "from": "try:\n    f({n})\nexcept Exception as e:\n    raise E('wrapped') from e", "context": "try:\n    f({n})\nexcept Exception:\n    print('handling')\n    raise E('in handler')",
            "finally": "try:\n    f({n})\nfinally:\n    print('cleanup')", "note": "try:\n    f({n})\nexcept Exception as e:\n    e.add_note('noted {n}'); raise"}[wrap].replace("{n}", str(depth))
    blank = "\n" * r.randint(0, 4)
    return f"""import sys
class E(Exception):
    def __str__(self): return f'<{{self.args}}>'
{blank}def f(n):
    if n:
        return g(n - 1)
    {body}
{blank}def g(n):
    print('level', n)
    return f(n)
print('start', {word(r)!r})
{call}
print('never')"""


@template
def exits(r):
    value = r.choice([0, 1, 2, 3, 42, 255, 256, 1000, -1, None, True, False, "a message", "", 2.5, [1], ('a', 3), {}, 10 ** 12])
    how = r.choice(["sys.exit({v})", "raise SystemExit({v})", "exit_later({v})", "try:\n    sys.exit({v})\nfinally:\n    print('finally')", "try:\n    sys.exit({v})\nexcept SystemExit as e:\n    print('code', e.code)\n    raise", "try:\n    sys.exit({v})\nexcept Exception:\n    print('not caught')"])
    if value == 10 ** 12:
        value = 77
    return f"""import sys, atexit
atexit.register(lambda: print('at exit'))
def exit_later(v):
    with open('f.txt', 'w') as f:
        f.write('x'); sys.exit(v)
print('before', end={r.choice(['chr(10)', "''"])})
{how.replace('{v}', repr(value))}
print('never')"""


@template
def classes(r):
    a, b, c = r.sample(["Ant", "Bee", "Cat", "Dog", "Elk"], 3)
    k = r.randint(2, 9)
    return f"""class Base:
    count = 0
    def __init__(self, name, *args, **kw):
        self.name = name; self.args = args; type(self).count += {k}; super().__init__(**kw)
    def __repr__(self): return f'{{type(self).__name__}}({{self.name!r}}, {{self.args}})'
    def who(self): return ['Base']
    @classmethod
    def make(cls, n): return [cls(str(i)) for i in range(n)]
    @staticmethod
    def util(x): return x * {k}
    @property
    def size(self): return len(self.name)
    @size.setter
    def size(self, n): self.name = (self.name * n)[:n]
class {a}(Base):
    def who(self): return ['{a}'] + super().who()
class {b}(Base):
    count = {k}
    def who(self): return ['{b}'] + super().who()
class {c}({r.choice([f'{a}, {b}', f'{b}, {a}'])}):
    def who(self): return ['{c}'] + super().who()
    def __eq__(self, o): return isinstance(o, Base) and self.name == o.name
    __hash__ = None
x = {c}({word(r)!r}, {integer(r)}); x.size = {r.randint(0, 12)}
print(x, x.who(), x.size, [m.__name__ for m in {c}.__mro__], {a}.make(2), {b}.make({r.randint(0, 3)}), x.util({r.randint(1, 5)}))
print(Base.count, {a}.count, {b}.count, {c}.count, '{a}' in str(type(x)), isinstance(x, {b}), issubclass({a}, {b}), x == {a}(x.name), x != 5, sorted(vars(x)))
for f in (lambda: x.missing, lambda: hash(x), lambda: Base(), lambda: setattr(x, 'size', 'a'), lambda: x < x):
    try: f(); print('fine')
    except Exception as e: print(type(e).__name__)"""


@template
def operators(r):
    ops = r.sample(["add", "sub", "mul", "truediv", "floordiv", "mod", "and", "or", "xor", "lshift", "pow", "matmul"], 5)
    symbol = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "and": "&", "or": "|", "xor": "^", "lshift": "<<", "pow": "**", "matmul": "@"}
    body = "\n".join(f"    def __{o}__(self, o): return self._op({symbol[o]!r}, o)" for o in ops)
    body += "\n" + "\n".join(f"    def __r{o}__(self, o): return self._op('r{symbol[o]}', o)" for o in ops[:3])
    tests = "\n".join(f"    lambda a, b: a {symbol[o]} b," for o in ops)
    inplace = "\n".join(f"x = V(1); x {symbol[o]}= {r.randint(1, 9)}; print(x)" for o in ops[:2])
    return f"""class V:
    def __init__(self, v): self.v = v
    def __repr__(self): return f'V({{self.v}})'
    def _op(self, s, o):
        if isinstance(o, str): return NotImplemented
        return V(f'{{self.v}} {{s}} {{o.v if isinstance(o, V) else o}}')
{body}
    def __neg__(self): return V(f'-{{self.v}}')
    def __iadd__(self, o): self.v = f'{{self.v}} += {{o}}'; return self
    def __len__(self): return {r.randint(0, 3)}
    def __getitem__(self, k): return f'item {{k}}'
    def __contains__(self, k): return k == {r.randint(0, 3)}
    def __call__(self, *a, **k): return (a, k)
fs = [
{tests}
]
for f in fs:
    for a, b in ((V('a'), V('b')), (V('a'), {integer(r)}), ({integer(r)}, V('b')), (V('a'), 'text'), ('text', V('b'))):
        try: print(f(a, b))
        except TypeError: print('TypeError')
{inplace}
print(-V(1), bool(V(1)), V(1)[{r.randint(0, 5)}:], V(1)[1, 2], 2 in V(0), V(0)(1, k=2), list(zip(V(1), range(2))))"""


@template
def dataclass_use(r):
    order, frozen = r.choice([True, False]), r.choice([True, False])
    return f"""from dataclasses import dataclass, field, asdict, astuple, replace
@dataclass(order={order}, frozen={frozen}, slots={r.choice([True, False])})
class Item:
    name: str
    price: float = {real(r)!r}
    tags: list = field(default_factory=list, compare=False, repr={r.choice([True, False])})
    n: int = field(default={r.randint(0, 9)}, kw_only={r.choice([True, False])})
    def total(self): return self.price * self.n
items = [Item({word(r)!r}), Item({word(r)!r}, {real(r)!r}), Item({word(r)!r}, {real(r)!r}, [{integer(r)}], n={r.randint(1, 9)})]
for i in items: print(i, asdict(i), astuple(i), i.total(), replace(i, name='new'))
print(items[0] == items[1], items[0] == Item(items[0].name), items[0] != 5)
for f in (lambda: sorted(items), lambda: setattr(items[0], 'name', 'x'), lambda: isinstance(hash(items[0]), int), lambda: Item(), lambda: Item('a', bad=1), lambda: items[0] < items[1]):
    try: print(f())
    except Exception as e: print(type(e).__name__)
print(items[0].name)"""


@template
def enum_use(r):
    names = r.sample(["RED", "GREEN", "BLUE", "CYAN", "PINK"], 4)
    values = r.sample(range(1, 30), 3)
    base = r.choice(["Enum", "IntEnum"])
    return f"""from enum import Enum, IntEnum, Flag, auto
class C({base}):
    {names[0]} = {values[0]}
    {names[1]} = {values[1]}
    {names[2]} = {values[2]}
    {names[3]} = {values[0]}
    @property
    def low(self): return self.name.lower()
class F(Flag):
    A = auto(); B = auto(); C = auto(); AB = A | B
print(list(C), [c.value for c in C], C({values[1]}), C['{names[2]}'], C.{names[3]}, C.{names[3]} is C.{names[0]}, C.{names[0]}.low, repr(C.{names[1]}), len(C), C.{names[0]} == {values[0]})
print(list(C.__members__), {{C.{names[0]}: 1}}[C.{names[3]}], isinstance(C.{names[0]}, int), sorted(C, key=lambda c: c.value)[0])
x = F.{r.choice('ABC')} | F.{r.choice('ABC')}
print(x, repr(x), x.value, F.A in x, bool(x & F.B), x ^ F.AB, F(3), F.AB & ~F.A, [f for f in F])
for f in (lambda: C(99), lambda: C['NONE'], lambda: C.{names[0]} < C.{names[1]}, lambda: F(64)):
    try: print(f())
    except Exception as e: print(type(e).__name__)"""


@template
def patterns(r):
    subjects = [literal(r, 2) for _ in range(8)] + [["go", word(r), 3], {"kind": "a", "v": integer(r)}, (1, (2, 3)), {"kind": word(r)}, -5]
    k = r.randint(1, 50)
    cases = ["case None: out = 'none'", f"case int(n) if n > {k}: out = f'big {{n}}'", "case bool(): out = 'bool'", "case int() | float(): out = 'number'", "case '': out = 'empty'", "case str(s) if s.isascii(): out = f'ascii {s}'",
             "case [x]: out = f'one {x}'", "case [x, *rest]: out = f'{x} then {len(rest)}'", "case ['go', where, int(n)]: out = f'go {where} {n}'", "case (1, (a, b)): out = f'nest {a}{b}'", "case {'kind': 'a', 'v': v}: out = f'kind a {v}'", "case {'kind': kind, **more}: out = f'kind {kind} {more}'", "case {}: out = 'mapping'"]
    r.shuffle(cases)
    body = "\n        ".join(cases)
    return f"""def m(v):
    match v:
        {body}
        case _: out = 'other'
    return out
for v in {subjects!r}:
    print(repr(v), '->', m(v))"""


@template
def regexes(r):
    replacement = r.choice(["-", r"<\g<0>>", ""])
    patterns = r.sample([r"(\w+)-(\w+)", r"\b[aeiou]\w*", r"(?P<first>\w)(?P<rest>\w*)", r"\d+(?:\.\d+)?", r"(.)\1", r"[^\w\s]", r"(?i)[A-F]+", r"(?<=\s)\w", r"\w+(?=\W)", r"^\S+|\S+$", r"(a|e|i)(x)?", r"\s*,\s*", r"(?:ab|a)(c?)", r"[^\x00-\x7f]+", r"(\w{2,3}?)", r"(?m)^.", r"\Z", r"$", r"()", r"\W*"], 6)
    return f"""import re
s = {text(r, 5) + r.choice([', ', '-', ' 3.14 ', chr(10)]) + text(r, 3)!r}
for p in {patterns!r}:
    c = re.compile(p)
    m = c.search(s)
    print(p, m and (m.group(), m.span(), m.groups(), m.groupdict()), c.match(s) is not None, c.fullmatch(s) is not None)
    print(c.findall(s)[:8], c.split(s, maxsplit={r.randint(0, 3)}), c.sub({replacement!r}, s, count={r.randint(0, 4)}), c.subn(lambda m: m[0].upper(), s), [x.start() for x in c.finditer(s)][:6], c.groups)"""


@template
def itertools_use(r):
    n, k = r.randint(3, 6), r.randint(2, 3)
    s = "".join(r.choice("aabbcd") for _ in range(8))
    return f"""from itertools import *
import operator
s, n, k = {s!r}, {n}, {k}
print([(c, len(list(g))) for c, g in groupby(s)], [''.join(g) for _, g in groupby(sorted(s))], list(combinations(range(n), k))[:9], list(permutations(s[:3], 2)), len(set(permutations(s[:5]))))
print(list(accumulate(range(1, n + 1), operator.{r.choice(['mul', 'add', 'sub', 'xor'])})), list(islice(cycle(s), {r.randint(5, 15)})), list(islice(count({integer(r)}, {r.randint(-3, 9)}), n)), list(zip_longest(s, range(n), fillvalue={scalar(r)!r})))
print(list(takewhile(lambda c: c != 'c', s)), list(dropwhile(lambda c: c < 'b', s)), list(filterfalse(str.isalpha, s)), list(starmap(pow, zip(range(n), repeat(k)))), list(pairwise(s))[:4], list(compress(s, cycle([1, 0, 1]))), list(chain(s, range(k), [])), [''.join(p) for p in product('xy', repeat=k)])
a, b = tee(iter(s)); next(b, None); print([x + y for x, y in zip(a, b)], list(islice(s, 1, None, k)), list(combinations_with_replacement('ab', k)))"""


@template
def collections_use(r):
    s = "".join(r.choice("abracdz") for _ in range(14))
    ops = "; ".join(r.choice([f"q.append({r.randint(0, 9)})", f"q.appendleft({r.randint(0, 9)})", "q.pop()", "q.popleft()", f"q.rotate({r.randint(-3, 3)})", "q.reverse()", f"q.extend([{r.randint(0, 9)}, 0])"]) for _ in range(6))
    return f"""from collections import *
c, d = Counter({s!r}), Counter({s[::2]!r})
print(sorted(c.items()), c.most_common(1)[0][1], c - d == c, sorted((c + d).items()), sorted((c & d).items()), sorted((c | d).items()), c['q'], sum(c.values()), c.total(), sorted(c.elements()))
q = deque(range({r.randint(3, 6)}), maxlen={r.choice([None, 5, 7])})
{ops}
print(q, len(q), q.maxlen, list(reversed(q)), {r.randint(0, 9)} in q)
dd = defaultdict({r.choice(['list', 'int', 'set', 'dict', 'str'])}); print(dd['x'], dict(dd), len(dd), 'y' in dd)
g = defaultdict(list)
for w in {text(r, 6)!r}.split(): g[len(w)].append(w)
print(dict(g), sorted(g)); P = namedtuple('P', 'x y'); p = P({integer(r)}, {scalar(r)!r}); print(p, p._replace(x=0), p._asdict(), p[1], p == tuple(p), P._fields)
m = ChainMap({{'a': {integer(r)}}}, {{'a': 1, 'b': {integer(r)}}}); m['c'] = 3; print(m['a'], m['b'], sorted(m), m.maps, len(m))
o = OrderedDict.fromkeys({s!r}); o.move_to_end({s[0]!r}, last={r.choice([True, False])}); print(''.join(o), o.popitem(last=False)[0])"""


@template
def dates(r):
    y, m, d = r.randint(1900, 2100), r.randint(1, 12), r.randint(1, 28)
    return f"""from datetime import *
import calendar
a = datetime({y}, {m}, {d}, {r.randint(0, 23)}, {r.randint(0, 59)}, {r.randint(0, 59)}, {r.choice([0, r.randint(1, 999999)])})
x = timedelta(days={r.randint(-500, 500)}, seconds={r.randint(-90000, 90000)}, milliseconds={r.randint(0, 5000)})
print(a, repr(a), a.isoformat(), a.date(), a.time(), a.weekday(), tuple(a.isocalendar()), a.strftime('%Y/%m/%d %H-%M-%S %j %a %b %p %I %f %U %W'), a.toordinal())
print(x, repr(x), x.days, x.seconds, x.total_seconds(), a + x, a - x, (a + x) - a == x, -x, abs(x), x * {r.randint(2, 5)}, x / {r.randint(2, 9)}, x // timedelta(hours={r.randint(1, 9)}), divmod(x, timedelta(minutes=7)))
z = timezone(timedelta(hours={r.randint(-12, 13)}, minutes={r.choice([0, 30, 45])})); u = a.replace(tzinfo=z); print(u, u.astimezone(timezone.utc), u.utcoffset(), u.tzname(), u == u.astimezone(timezone.utc), u.isoformat(timespec='minutes'))
print(datetime.fromisoformat(a.isoformat()) == a, datetime.strptime(a.strftime('%d.%m.%Y'), '%d.%m.%Y'), date({y}, {m}, {d}) - date(2000, 1, 1), calendar.isleap({y}), calendar.monthrange({y}, {m})[1], calendar.TextCalendar({r.randint(0, 6)}).formatmonth({y}, {m}))
for f in (lambda: date({y}, {r.randint(1, 14)}, {r.randint(27, 32)}), lambda: a.replace(hour={r.randint(20, 27)}), lambda: a < u, lambda: date.fromisoformat('{y}-{m:02}-{d + 5:02}')):
    try: print(f())
    except (ValueError, TypeError) as e: print(type(e).__name__)"""


@template
def decimals(r):
    a, b = (f"{r.randint(-99999, 99999)}e{r.randint(-6, 3)}" for _ in range(2))
    return f"""from decimal import *
from fractions import Fraction
a, b = Decimal('{a}'), Decimal('{b}')
getcontext().prec = {r.randint(4, 40)}
for f in (lambda: a + b, lambda: a - b, lambda: a * b, lambda: a / b, lambda: a // b, lambda: a % b, lambda: a ** {r.randint(-3, 5)}, lambda: divmod(a, b), lambda: abs(a).sqrt(), lambda: a.quantize(Decimal('0.01')), lambda: a.normalize(), lambda: a.to_eng_string(), lambda: round(a, {r.randint(0, 3)}), lambda: int(a), lambda: a.as_tuple(), lambda: a.compare(b), lambda: max(a, b), lambda: f'{{a:{r.randint(1, 15)}.{r.randint(0, 4)}f}} {{b:e}} {{a:,}}', lambda: a.scaleb(2), lambda: a.is_signed(), lambda: a.as_integer_ratio()):
    try: print(f())
    except ArithmeticError as e: print(type(e).__name__)
p, q = Fraction({r.randint(-99, 99)}, {r.randint(1, 99)}), Fraction('{r.randint(1, 999) / 100}')
print(p + q, p - q, p * q, p / q, p // q, p % q, p ** 2, p < q, float(p), round(p, 2), p.limit_denominator({r.randint(2, 20)}), repr(q), int(p), -p, abs(p), p == float(p), hash(Fraction(4, 2)) == hash(2))"""


@template
def random_seeded(r):
    return f"""import random
r = random.Random({r.choice([r.randint(0, 10 ** 9), repr(word(r)), r.random()])})
print([r.randint({r.randint(-9, 0)}, {r.randint(1, 99)}) for _ in range(8)], r.random(), r.choice({text(r, 4)!r}.split()), r.sample(range({r.randint(10, 500)}), {r.randint(1, 8)}), r.choices('abc', [{r.randint(1, 5)}, 2, 1], k=9))
a = list(range({r.randint(3, 12)})); r.shuffle(a); print(a, r.getrandbits({r.randint(1, 200)}), r.randrange(0, {r.randint(5, 999)}, {r.randint(1, 4)}), r.uniform(-1, {r.randint(1, 9)}), r.randbytes({r.randint(1, 9)}))
s = r.getstate(); x = [r.random() for _ in range(3)]; r.setstate(s); print(x == [r.random() for _ in range(3)], round(r.gauss(0, 1), 9), round(r.normalvariate(5, 2), 9), round(r.triangular(0, 9, 3), 9))
walk = [0]
for _ in range({r.randint(10, 60)}): walk.append(walk[-1] + r.choice([-1, 1]))
print(walk, min(walk), max(walk), ''.join(r.choice('.#') for _ in range(40)))"""


@template
def statistics_use(r):
    data = [r.randint(-50, 50) for _ in range(r.randint(3, 11))]
    return f"""import statistics as s
from fractions import Fraction
a = {data!r}
print(s.mean(a), s.median(a), s.median_low(a), s.median_high(a), s.multimode(a), s.pvariance(a), s.variance(a), f'{{s.stdev(a):.9f}} {{s.pstdev(a):.9f}} {{s.fmean(a):.9f}}', s.quantiles(a, n={r.randint(2, 5)}), s.mode(a), s.mean(map(Fraction, a)))
m = sorted(a); print(m, m[len(m) // 2], min(a), max(a), sum(a), [a.index(x) for x in m[:3]], sum(x > s.mean(a) for x in a))
width = {r.randint(5, 20)}; lo, hi = min(a), max(a)
for x in a: print(f'{{x:>5}}', '#' * ((x - lo) * width // ((hi - lo) or 1)))"""


@template
def text_wrapping(r):
    t = text(r, 25)
    return f"""import textwrap, string, difflib
t = {t!r}
w = {r.randint(12, 40)}
print(textwrap.fill(t, w)); print('-' * w); print(*textwrap.wrap(t, w, initial_indent={r.choice(['', '* ', '    '])!r}, subsequent_indent={r.choice(['', '  '])!r}, break_long_words={r.choice([True, False])}, max_lines={r.choice([None, 2, 3])}, placeholder=' [...]'), sep='\\n')
print(textwrap.shorten(t, {r.randint(20, 60)}), textwrap.indent('a\\n\\n b', {r.choice(['> ', '  '])!r}), textwrap.dedent('    x\\n      y\\n'), sep='\\n')
print('\\n'.join(line.{r.choice(['center', 'rjust', 'ljust'])}(w, {r.choice('.~ ')!r}) for line in textwrap.wrap(t, w)))
print(string.capwords(t), string.Template('$a and ${{b}} $$').substitute(a={word(r)!r}, b={integer(r)}))
print(*difflib.unified_diff({t!r}.split()[:8], {t!r}.replace({word(r)!r}, 'NEW').split()[1:9], lineterm=''), sep='\\n')
print(round(difflib.SequenceMatcher(None, {word(r)!r}, {word(r)!r}).ratio(), 6), difflib.get_close_matches({word(r)!r}, t.split()))"""


@template
def heaps(r):
    a = [r.randint(0, 50) for _ in range(9)]
    return f"""import heapq, bisect
a = {a!r}
h = a[:]; heapq.heapify(h); print(h)
for x in {[r.randint(0, 50) for _ in range(4)]!r}: heapq.heappush(h, x); print(heapq.heappop(h), h, heapq.heappushpop(h, x + {r.randint(1, 9)}), heapq.heapreplace(h, x))
print(heapq.nlargest({r.randint(1, 5)}, a), heapq.nsmallest({r.randint(1, 5)}, a, key=lambda v: v % {r.randint(2, 9)}), list(heapq.merge(sorted(a), range(0, 50, 9))))
s = []
for x in a: bisect.insort{r.choice(['', '_left', '_right'])}(s, x)
print(s, [bisect.bisect_left(s, x) for x in range(0, 51, 10)], [bisect.bisect(s, x) for x in a])
tasks = [({r.randint(1, 3)}, 'b'), ({r.randint(1, 3)}, 'a'), (0, 'z')]; heapq.heapify(tasks); print([heapq.heappop(tasks) for _ in range(3)])"""


@template
def packing(r):
    fmt = r.choice("<>!=") + "".join(r.choice("bBhHiIqQ") for _ in range(4))
    return f"""import struct, zlib, hashlib, base64, binascii
data = {r.randbytes(r.randint(0, 24))!r}
for values in ({[r.randint(0, 127) for _ in range(4)]!r}, {[r.randint(-200, 70000) for _ in range(4)]!r}):
    try:
        b = struct.pack({fmt!r}, *values); print(b, b.hex(' '), struct.unpack({fmt!r}, b), struct.calcsize({fmt!r}))
    except struct.error as e: print(type(e).__name__)
print(hashlib.{r.choice(['md5', 'sha1', 'sha256', 'sha512', 'sha3_256', 'blake2b', 'blake2s'])}(data).hexdigest()[:24], zlib.crc32(data), zlib.adler32(data), zlib.decompress(zlib.compress(data * 9)) == data * 9)
for n in ('b64', 'b32', 'b16', 'b85', 'a85', 'urlsafe_b64'):
    e = getattr(base64, n + 'encode')(data); print(n, e, getattr(base64, n + 'decode')(e) == data)
print(data[::-1].hex(), list(data[:5]), binascii.b2a_hex(data), data.count(0), struct.pack('<d', {real(r)!r}).hex(), struct.unpack('>f', {r.choice([b'@I', b'?', b'A '])!r}.ljust(4, b'\\0')), bytes(x ^ {r.randint(0, 255)} for x in data))"""


@template
def csv_text(r):
    rows = [[r.choice([word(r), integer(r), real(r), None, 'q"q', "a,b", "two\nlines", ""]) for _ in range(4)] for _ in range(4)]
    return f"""import csv, io
rows = {rows!r}
o = io.StringIO()
w = csv.writer(o, delimiter={r.choice(',;|')!r}, quoting=csv.{r.choice(['QUOTE_MINIMAL', 'QUOTE_ALL', 'QUOTE_NONNUMERIC'])}, lineterminator='\\n')
for row in rows: print(w.writerow(row))
t = o.getvalue(); print(t); print(list(csv.reader(io.StringIO(t), delimiter={r.choice(',;|')!r})))
for d in csv.DictReader(io.StringIO('a,b,c\\n' + t), restkey='more', restval='none'): print(d)"""


@template
def input_processing(r):
    rows = [[r.choice([str(integer(r)), str(integer(r)), word(r), str(round(r.uniform(-9, 9), 2))]) for _ in range(r.randint(0, 5))] for _ in range(r.randint(2, 8))]
    reader = r.choice(["sys.stdin", "iter(sys.stdin.readline, '')", "sys.stdin.read().splitlines()", "io.TextIOWrapper(sys.stdin.buffer, 'utf-8')", "lines()"])
    source = f"""import io, sys
def lines():
    try:
        while True: yield input()
    except EOFError: print('EOF')
total, words, bad = 0, {{}}, 0
for n, line in enumerate({reader}, 1):
    for token in line.split():
        try: total += int(token)
        except ValueError:
            try: total += round(float(token) * 100); words['float'] = words.get('float', 0) + 1
            except ValueError: bad += 1; words[token] = words.get(token, 0) + 1
    print(n, repr(line), total)
print(total, words, bad)
sys.exit(bad % {r.randint(2, 5)})"""
    return {"source": source, "stdin": "\n".join(" ".join(row) for row in rows) + r.choice(["\n", "", "\n\n"])}


@template
def arguments(r):
    args = []
    for _ in range(r.randint(0, 6)):
        args += r.choice([["--num", str(r.randint(-5, 99))], ["-v"], [word(r)], ["--name=" + word(r)], ["--on"], ["-n", "x1"], ["--", "-z"], ["--nu", "4"], ["-vvn3"], ["--bad"]])
    source = """import argparse, sys
print(sys.argv[1:])
p = argparse.ArgumentParser(prog='tool')
p.add_argument('items', nargs='*', default=['none'])
p.add_argument('-n', '--num', type=int, default=7)
p.add_argument('--name')
p.add_argument('-v', action='count')
p.add_argument('--on', action='store_true')
print(sorted(vars(p.parse_args()).items(), key=lambda kv: kv[0]))"""
    return {"source": source, "args": args}


@template
def async_order(r):
    delays = r.sample(range(1, 9), 4)
    return f"""import asyncio
log = []
async def work(n, d):
    log.append(f'start {{n}}')
    await asyncio.sleep(d / 50)
    if n == {r.randint(0, 5)}: raise ValueError(f'job {{n}}')
    log.append(f'end {{n}}'); return n * d
async def count(name, n):
    for i in range(n): log.append(f'{{name}}{{i}}'); await asyncio.sleep(0)
async def main():
    results = await asyncio.gather(*(work(n, d) for n, d in enumerate({delays!r})), return_exceptions=True)
    print([repr(x) for x in results]); print(log); log.clear()
    await asyncio.gather(count('a', {r.randint(1, 4)}), count('b', {r.randint(1, 4)}), count('c', {r.randint(1, 4)})); print(log)
    q = asyncio.Queue(maxsize={r.randint(1, 3)})
    async def put():
        for i in range({r.randint(2, 5)}): await q.put(i)
        await q.put(None)
    t = asyncio.create_task(put()); got = []
    while (x := await q.get()) is not None: got.append(x)
    print(got, t.done() or await t is None)
    try: await asyncio.wait_for(asyncio.sleep(9), 0.01)
    except asyncio.TimeoutError: print('timeout')
    return {scalar(r)!r}
print(asyncio.run(main()))"""


@template
def contexts(r):
    eats = r.choice(EXCEPTIONS)
    raises = r.choice([eats, r.choice(EXCEPTIONS), None])
    body = f"raise {raises}('inside')" if raises else "print('body')"
    return f"""import contextlib
class C:
    def __init__(self, n, eat=()): self.n, self.eat = n, eat
    def __enter__(self): print('enter', self.n); return self.n
    def __exit__(self, t, v, tb): print('exit', self.n, t and t.__name__, v); return bool(t) and issubclass(t, self.eat)
@contextlib.contextmanager
def g(n):
    print('before', n)
    try: yield n
    except {r.choice([eats, 'Exception'])} as e: print('seen', type(e).__name__); {r.choice(['raise', 'pass', "raise RuntimeError('new') from e"])}
    finally: print('after', n)
def run():
    with C(1) as a, {r.choice(['g(2)', f'C(2, ({eats},))'])} as b, {r.choice(['g(3)', 'C(3)'])}:
        print(a, b)
        {body}
    return 'done'
for _ in range(2):
    try: print(run())
    except Exception as e: print('outside', repr(e), repr(e.__cause__))
with contextlib.ExitStack() as s:
    for i in range({r.randint(1, 4)}): s.enter_context(C(i))
    s.callback(print, 'callback'); print('in stack')
with contextlib.suppress({eats}): raise {eats}('suppressed')"""


@template
def decorators(r):
    k = r.randint(2, 4)
    return f"""import functools
def trace(label, times={r.randint(1, 2)}):
    def deco(f):
        @functools.wraps(f)
        def w(*a, **kw):
            out = None
            for _ in range(times):
                print(label, f.__name__, a, kw); out = f(*a, **kw)
            return out
        w.calls = times; return w
    return deco
@trace('A')
@trace('B', times={r.randint(1, 2)})
def f(x, *, y={r.randint(0, 9)}):
    'doc'
    return x * {k} + y
print(f({integer(r)}), f({integer(r)}, y={integer(r)}), f.__name__, f.__doc__, f.calls, f.__wrapped__.calls)
@functools.lru_cache(maxsize={r.choice([None, 4, 9])})
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib({r.randint(10, 90)}), fib.cache_info())
class Reg(dict):
    def __call__(self, name): return lambda g: self.setdefault(name, g)
reg = Reg()
@reg({word(r)!r})
def one(): return 1
@reg({word(r)!r})
class Two: v = 2
print(list(reg), [callable(v) for v in reg.values()], functools.reduce(lambda a, b: a * b % {r.randint(50, 999)}, range(1, {r.randint(5, 30)})), functools.partial(f, {integer(r)})(y=1))"""


@template
def recursion(r):
    n = r.randint(3, 6)
    return f"""def perms(s): return [s] if len(s) < 2 else [c + p for i, c in enumerate(s) for p in perms(s[:i] + s[i + 1:])]
def flat(x): return [y for e in x for y in flat(e)] if isinstance(x, (list, tuple)) else [x]
def depth(x): return 1 + max(map(depth, x), default=0) if isinstance(x, (list, tuple)) else 0
def power(b, n): return 1 if n == 0 else power(b * b, n // 2) * (b if n % 2 else 1)
def collatz(n): return [n] if n == 1 else [n] + collatz(n // 2 if n % 2 == 0 else 3 * n + 1)
def hanoi(n, a, b, c): return hanoi(n - 1, a, c, b) + [(a, c)] + hanoi(n - 1, b, a, c) if n else []
def subsets(a): return [[]] if not a else [s + t for s in subsets(a[1:]) for t in ([], [a[0]])]
def endless(n): return endless(n + 1)
x = {[literal(r, 3) for _ in range(3)]!r}
print(perms({''.join(r.sample('abcdef', 3))!r}), flat(x), depth(x), power({r.randint(2, 9)}, {r.randint(5, 70)}), collatz({r.randint(2, 60)}), len(hanoi({n}, 'A', 'B', 'C')), hanoi(2, 'A', 'B', 'C'), subsets(list(range({r.randint(1, 4)}))))
try: endless(0)
except RecursionError as e: print(type(e).__name__)
print((lambda f, k: f(f, k))(lambda f, k: 1 if k < 2 else k * f(f, k - 1), {r.randint(1, 40)}))"""


@template
def files_use(r):
    lines = [text(r) for _ in range(r.randint(1, 5))]
    return f"""import os, pathlib, json
p = pathlib.Path('work'); p.mkdir()
lines = {lines!r}
with open(p / 'a.txt', 'w', encoding='utf-8') as f: print(f.write('\\n'.join(lines)), f.tell())
with open(p / 'a.txt', 'a', encoding='utf-8') as f: f.writelines(['\\nlast', {word(r)!r}])
with open(p / 'a.txt', encoding='utf-8') as f:
    print(f.readline(), [x.rstrip() for x in f], f.read()); f.seek(0); print(f.read({r.randint(1, 30)}))
with open(p / 'a.txt', 'rb') as f: b = f.read(); print(len(b), b[:{r.randint(5, 20)}], b.count(b'\\n'))
(p / 'd.json').write_text(json.dumps({{'n': {integer(r)}, 'l': lines}}, ensure_ascii={r.choice([True, False])}), encoding='utf-8'); print(json.loads((p / 'd.json').read_text(encoding='utf-8')))
print(sorted(x.name for x in p.iterdir()), (p / 'a.txt').stat().st_size == len(b), os.path.exists('work/none'), os.path.join('x', {word(r)!r}, 'y.txt'), os.path.splitext({word(r) + '.tar.gz'!r}))
for f in (lambda: open('work/none'), lambda: p.mkdir(), lambda: os.rmdir(p), lambda: (p / 'a.txt').read_text(encoding='ascii'), lambda: open(p / 'a.txt').write('x'), lambda: os.rename('nope', 'b')):
    try: f(); print('fine')
    except (OSError, ValueError) as e: print(type(e).__name__)
os.replace(p / 'a.txt', p / 'z.txt'); [x.unlink() for x in p.iterdir()]; p.rmdir(); print(p.exists(), os.listdir('.') == ['main.py'])"""


@template
def bytes_use(r):
    b = r.randbytes(r.randint(3, 12)) + b" text " + word(r).encode()
    return f"""b = {b!r}
a = bytearray(b)
for f in (lambda: b.hex(':'), lambda: b.upper(), lambda: b.split(), lambda: b[{r.randint(0, 30)}], lambda: b[{r.randint(-9, 9)}:], lambda: b.find(b't'), lambda: b.index({r.randint(0, 300)}), lambda: b.decode(), lambda: b.decode('latin-1'), lambda: b.decode('utf-8', 'backslashreplace'), lambda: b + 'x', lambda: b * 2, lambda: b'%d|%s|%a' % ({integer(r)}, b, {word(r)!r}), lambda: a.pop({r.randint(0, 40)}), lambda: a.append({r.randint(250, 260)}), lambda: a.extend(b'xy'), lambda: a.__setitem__(slice(1, 3), b'---'), lambda: a, lambda: bytes(reversed(a)), lambda: b.replace(b't', b'TT'), lambda: b.translate(None, b'et'), lambda: b.center(40, b'*'), lambda: sorted(b)[:4], lambda: memoryview(b)[1:3].tolist(), lambda: b.isalpha(), lambda: b.startswith((b'a', b[:1])), lambda: int.from_bytes(b[:3], 'big'), lambda: b < a, lambda: bytes({r.randint(0, 6)}), lambda: ascii(b.decode('utf-8', 'surrogateescape')), lambda: b.partition(b' '), lambda: a.fromhex('0{r.randint(0, 9)} ff')):
    try: print(f())
    except (TypeError, ValueError, IndexError) as e: print(type(e).__name__)"""


@template
def calls(r):
    signature = r.choice(["a, b=2, *c, d=4, **e", "a, /, b, *, c=3", "*a, **k", "a, b=1, /, c=2, *, d", "a=1, b=2", "self, *, k=None"])
    attempts = [f"f({', '.join(r.sample(['1', '2', '*[3, 4]', '*()'], r.randint(0, 3)))}{', ' if False else ''})" for _ in range(4)]
    attempts += [f"f({', '.join(r.choice(['1', '*range(2)']) for _ in range(r.randint(0, 2)))}{{sep}}{', '.join(f'{k}={r.randint(0, 9)}' for k in r.sample('abcdkz', r.randint(1, 3)))})" for _ in range(6)]
    attempts = [a.replace("({sep}", "(").replace("{sep}", ", ") for a in attempts] + ["f(**{'b': 1, 'd': 5}, a=0)", "f(*'xy', **{})"]
    return f"""import inspect
def f({signature}): return sorted((k, v) for k, v in locals().items())
print(inspect.signature(f), f.__defaults__, f.__kwdefaults__)
for call in {attempts!r}:
    try: print(call, eval(call))
    except TypeError as e: print(call, type(e).__name__)
def g(x, acc=[]): acc.append(x); return acc
print(g({scalar(r)!r}), g({scalar(r)!r}), g(0, []), g.__defaults__)"""


@template
def printing(r):
    values = ", ".join(repr(scalar(r)) for _ in range(4))
    return f"""import io, sys
print({values}, sep={r.choice([', ', '', '|', chr(10), ' é '])!r}, end={r.choice(['!' + chr(10), '', '.', chr(10) * 2])!r})
print(); print({literal(r, 2)!r}, {text(r, 2)!r}, flush=True); print(*{[scalar(r) for _ in range(3)]!r}, sep='/'); print(*{word(r)!r}, sep={r.choice(['-', None])!r})
print('to stderr', {integer(r)}, file=sys.stderr)
f = io.StringIO(); print({values}, file=f, sep='\\t'); print(repr(f.getvalue())); sys.stdout.write({text(r, 3)!r} + '\\n'); print(sys.stdout.write('abc'))
sys.stdout.writelines(str(i) for i in range({r.randint(2, 12)})); sys.stdout.flush(); sys.stdout.buffer.write({(word(r) + chr(10)).encode()!r}); sys.stdout.buffer.flush()
for i in range({r.randint(2, 30)}): print(i, end=' ' if i % {r.randint(2, 7)} else '\\n')
print({r.choice(['repr', 'ascii', 'str'])}({text(r, 2)!r}), [{word(r)!r}], ({scalar(r)!r},), {{{word(r)!r}: [{scalar(r)!r}]}}, Ellipsis, NotImplemented, int, len, range({r.randint(1, 9)}), slice(1, {scalar(r)!r}), object is type, end='')"""


@template
def table_report(r):
    rows = [(word(r), r.randint(1, 500), round(r.uniform(0, 2000), 2)) for _ in range(r.randint(3, 8))]
    return f"""rows = {rows!r}
widths = [max(len(f'{{x:,.2f}}' if isinstance(x, float) else str(x)) for x in col) for col in zip(*rows)]
line = '+'.join('-' * (w + 2) for w in widths)
print(line)
for name, qty, price in sorted(rows, key=lambda t: (-t[2], t[0])):
    print(f' {{name:<{{widths[0]}}}} | {{qty:>{{widths[1]}}}} | {{price:>{{widths[2]}},.2f}}', '*' * (qty // {r.randint(20, 60)}))
print(line); total = 0
for _, q, p in rows: total += q * round(p * 100)
print(f'total {{total // 100:,}}.{{total % 100:02}}', f'{{len(rows)}} rows', f'mean qty {{sum(t[1] for t in rows) / len(rows):.{r.randint(0, 4)}f}}', f'{{max(rows, key=lambda t: t[1])[0]!r}}', f'{{sum(t[1] > 100 for t in rows) / len(rows):.1%}}')
by = {{}}
for n, q, p in rows: by.setdefault(n[0].upper(), []).append(q)
for k in sorted(by): print(k, by[k], sum(by[k]))"""


@template
def unit_tests(r):
    methods = []
    for i in range(r.randint(2, 5)):
        methods.append(f"    def test_{i}(self): " + r.choice([f"self.assertEqual({integer(r)}, {integer(r)})", "self.assertTrue(1)", "self.assertIn(2, [1, 2])", "raise ValueError('x')", "self.skipTest('why')", "self.assertAlmostEqual(0.1 + 0.2, 0.3)", "self.assertRaises(KeyError, {}.pop, 1)", "self.assertLess(2, 1)", "self.assertIsNone(None); print('ran')", "self.fail('no')"]))
    end = r.choice(["unittest.main()", "unittest.main(verbosity=0)", "unittest.main(exit=False); print('after')",
                    "import io; res = unittest.TextTestRunner(io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(T)); print(res.testsRun, len(res.failures), len(res.errors), len(res.skipped), res.wasSuccessful())"])
    return "\n".join(["import unittest", "class T(unittest.TestCase):", "    def setUp(self): print('up', self.id().rsplit('.', 1)[1])", *methods, end])


@template
def algorithms(r):
    n = r.randint(20, 400)
    return r.choice([
        f"""def sieve(n):
    s = [True] * (n + 1); s[:2] = [False] * 2
    for i in range(2, int(n ** 0.5) + 1):
        if s[i]:
            for j in range(i * i, n + 1, i): s[j] = False
    return [i for i, p in enumerate(s) if p]
p = sieve({n}); print(p, len(p), [(a, b) for a, b in zip(p, p[1:]) if b - a == {r.choice([2, 4, 6])}])
def factor(n):
    out, d = [], 2
    while n > 1:
        while n % d == 0: out.append(d); n //= d
        d += 1
    return out
print([(k, factor(k)) for k in {[r.randint(2, 5000) for _ in range(6)]!r}])""",
        f"""import heapq
g = {({a: {b: r.randint(1, 20) for b in r.sample('ABCDEFG', 3) if b != a} for a in 'ABCDEFG'})!r}
def shortest(s):
    dist, prev, q = {{s: 0}}, {{}}, [(0, s)]
    while q:
        d, u = heapq.heappop(q)
        if d > dist[u]: continue
        for v, w in g[u].items():
            if v not in dist or d + w < dist[v]: dist[v] = d + w; prev[v] = u; heapq.heappush(q, (d + w, v))
    return dist, prev
for s in g: print(s, sorted(shortest(s)[0].items()), sorted(shortest(s)[1].items()))""",
        f"""def edit(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        prev, row[0] = row[0], i
        for j, y in enumerate(b, 1): prev, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, prev + (x != y))
    return row[-1]
words = {r.sample(WORDS, 7)!r}
for a in words: print(*(f'{{edit(a, b):>3}}' for b in words), a)
def lcs(a, b):
    t = [[''] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b): t[i + 1][j + 1] = t[i][j] + x if x == y else max(t[i][j + 1], t[i + 1][j], key=len)
    return t[-1][-1]
print([lcs(a, b) for a, b in zip(words, words[1:])])""",
        f"""cells = set({sorted({(r.randint(0, 7), r.randint(0, 5)) for _ in range(16)})!r})
for t in range({r.randint(3, 6)}):
    print(t, len(cells)); print('\\n'.join(''.join('.#'[(x, y) in cells] for x in range(8)) for y in range(6)))
    near = {{}}
    for x, y in cells:
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                if dx or dy: near[x + dx, y + dy] = near.get((x + dx, y + dy), 0) + 1
    cells = {{p for p, n in near.items() if n == 3 or n == 2 and p in cells}}""",
        f"""m = {[[r.randint(-9, 9) for _ in range(3)] for _ in range(3)]!r}
def mul(a, b): return [[sum(x * y for x, y in zip(row, col)) for col in zip(*b)] for row in a]
def det(a): return a[0][0] if len(a) == 1 else sum((-1) ** j * a[0][j] * det([row[:j] + row[j + 1:] for row in a[1:]]) for j in range(len(a)))
p = m
for k in range({r.randint(2, 6)}): print(p, det(p), [list(c) for c in zip(*p)], sum(p[i][i] for i in range(3))); p = mul(p, m)
for row in p: print(' '.join(f'{{x:>12}}' for x in row))""",
        f"""def rpn(t):
    s = []
    for k in t.split():
        if k in '+-*/%':
            b, a = s.pop(), s.pop(); s.append(a + b if k == '+' else a - b if k == '-' else a * b if k == '*' else a // b if k == '/' else a % b)
        else: s.append(int(k))
    (v,) = s; return v
for t in {[' '.join([str(r.randint(1, 30)), str(r.randint(0, 9)), r.choice('+-*/%'), str(r.randint(0, 9)), r.choice('+-*/%')][: r.choice([5, 5, 5, 4])]) for _ in range(8)]!r}:
    try: print(t, '=', rpn(t))
    except (ZeroDivisionError, IndexError, ValueError) as e: print(t, '->', type(e).__name__)"""])


class Flow:
    """Random programs of statements, for combinations nobody would write.

    Every loop is bounded and every variable is set, so they all end.
    """

    def __init__(self, r):
        self.r, self.lines, self.count = r, [], 0

    def emit(self, depth, line):
        self.lines.append("    " * depth + line)

    def block(self, depth, level, loop, function):
        for _ in range(self.r.randint(1, 3)):
            self.statement(depth, level, loop, function)

    def statement(self, depth, level, loop, function):
        r = self.r
        kind = r.randrange(13) if level > 0 else r.randrange(5)
        self.count += 1
        if kind < 2:
            self.emit(depth, f"{r.choice('abc')} {r.choice(['=', '+=', '-=', '^='])} {numeric(r, 2)} % {r.randint(50, 9999)}")
        elif kind == 2:
            self.emit(depth, f"log.append(({self.count}, a, b, c))")
        elif kind == 3:
            self.emit(depth, f"print({self.count}, {numeric(r, 1)}, a, b, c)")
        elif kind == 4:
            if loop and r.random() < 0.5:
                self.emit(depth, f"if {condition(r)}: {r.choice(['break', 'continue'])}")
            elif function and r.random() < 0.5:
                self.emit(depth, f"if {condition(r)}: return {numeric(r, 1)}")
            else:
                self.emit(depth, f"if {condition(r)}: raise {r.choice(['ValueError', 'KeyError', 'LookupError'])}(a)")
        elif kind < 7:
            self.emit(depth, f"if {condition(r)}:")
            self.block(depth + 1, level - 1, loop, function)
            if r.random() < 0.5:
                self.emit(depth, f"elif {condition(r)}:")
                self.block(depth + 1, level - 1, loop, function)
            if r.random() < 0.5:
                self.emit(depth, "else:")
                self.block(depth + 1, level - 1, loop, function)
        elif kind < 9:
            name = r.choice("ij")
            self.emit(depth, f"for {name} in range({r.randint(1, 4)}):")
            self.emit(depth + 1, f"{r.choice('abc')} += {name}")
            self.block(depth + 1, level - 1, True, function)
            if r.random() < 0.4:
                self.emit(depth, "else:")
                self.block(depth + 1, level - 1, loop, function)
        elif kind == 9:
            name = f"w{self.count}"
            self.emit(depth, f"{name} = {r.randint(1, 4)}")
            self.emit(depth, f"while {name} > 0 and ({condition(r)}):")
            self.emit(depth + 1, f"{name} -= 1")
            self.block(depth + 1, level - 1, True, function)
        elif kind < 12:
            self.emit(depth, "try:")
            self.block(depth + 1, level - 1, loop, function)
            self.emit(depth, f"except {r.choice(['ValueError', 'LookupError', '(KeyError, ArithmeticError)', 'Exception'])} as e:")
            self.emit(depth + 1, f"print({self.count}, 'caught', type(e).__name__)")
            if r.random() < 0.5:
                self.block(depth + 1, level - 1, loop, function)
            if r.random() < 0.3:
                self.emit(depth, "else:")
                self.block(depth + 1, level - 1, loop, function)
            if r.random() < 0.5:
                self.emit(depth, "finally:")
                # No jumps here: leaving a finally block by them is warned
                # about from Python 3.14 on.
                self.emit(depth + 1, f"print({self.count}, 'finally', a, b)")
        else:
            self.emit(depth, f"with C({self.count}):")
            self.block(depth + 1, level - 1, loop, function)


@template
def control_flow(r):
    f = Flow(r)
    f.lines = ["class C:", "    def __init__(self, n): self.n = n", "    def __enter__(self): print('in', self.n)",
               "    def __exit__(self, t, v, tb): print('out', self.n, t and t.__name__); return t is KeyError", "log = []"]
    f.emit(0, "def f(a, b, c):")
    f.block(1, 4, False, True)
    f.block(1, 3, False, True)
    f.emit(1, "return a, b, c")
    f.emit(0, "def g(a, b, c):")
    f.emit(1, "for k in range(3):")
    f.block(2, 3, True, True)
    f.emit(2, "yield k, a, b, c")
    for _ in range(4):
        args = f"{integer(r) % 1000}, {r.randint(-50, 50)}, {r.randint(0, 9)}"
        f.emit(0, "try:")
        f.emit(1, f"print('f', f({args}))")
        f.emit(1, f"print('g', list(g({args})))")
        f.emit(0, "except Exception as e:")
        f.emit(1, "print('outside', type(e).__name__)")
    f.emit(0, "print(len(log), log[-3:])")
    if r.random() < 0.4:
        f.emit(0, "try:")
        f.emit(1, f"f({r.randint(0, 99)}, {r.randint(-9, 9)}, 0)")
        f.emit(0, "except Exception as e:")
        f.emit(1, "raise RuntimeError('ended by ' + type(e).__name__) from e")
    return "\n".join(f.lines)


@template
def control_flow_twice(r):
    """The same again, since it finds most."""
    return control_flow(r)


@template
def control_flow_stdin(r):
    f = Flow(r)
    f.lines = ["import sys", "class C:", "    def __init__(self, n): self.n = n", "    def __enter__(self): print('in', self.n)",
               "    def __exit__(self, t, v, tb): print('out', self.n, t and t.__name__)", "log = []", "def f(a, b, c):"]
    f.block(1, 4, False, True)
    f.emit(1, "return a - b + c")
    f.lines += ["code = 0", "for line in sys.stdin:", "    try:", "        a, b, c = map(int, line.split())", "        print(line.strip(), '->', f(a, b, c))",
                "    except Exception as e:", "        print(line.strip(), 'failed', type(e).__name__); code += 1", "sys.exit(code)"]
    rows = [" ".join(str(integer(r) % 500 - 99) for _ in range(r.choice([3, 3, 3, 3, 2, 4]))) for _ in range(6)] + ["x y z", ""]
    return {"source": "\n".join(f.lines), "stdin": "\n".join(rows)}


# ------------------------------------------------------------ generation

def generated(count, seed):
    """``count`` programs, the templates in turn, none of them twice."""
    seen = set()
    number = 0
    while len(seen) < count:
        function = TEMPLATES[number % len(TEMPLATES)]
        r = random.Random(f"{seed}:{function.__name__}:{number // len(TEMPLATES)}")
        number += 1
        made = function(r)
        if isinstance(made, str):
            made = {"source": made}
        source = made["source"].rstrip("\n") + "\n"
        key = (source, made.get("stdin", ""), tuple(made.get("args", ())))
        if key in seen:
            continue
        seen.add(key)
        yield {"name": f"{function.__name__.replace('_', '-')}-{number // len(TEMPLATES):03d}", "files": {"main.py": source},
               "stdin": made.get("stdin", ""), "args": made.get("args", [])}


# ------------------------------------------------------------- reference

def native(program, limit):
    """What ``sys.executable`` makes of a program."""
    with tempfile.TemporaryDirectory() as folder:
        folder = os.path.realpath(folder)
        for name, content in program["files"].items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        flags = ["-I"] if len(program["files"]) == 1 else ["-E", "-s"]
        try:
            done = subprocess.run(
                [sys.executable, *flags, "-B", "-X", "utf8", "main.py", *program["args"]], cwd=folder,
                input=program["stdin"].encode("utf-8"), capture_output=True, timeout=limit,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"})
        except subprocess.TimeoutExpired:
            raise SystemExit(f"{program['name']} does not end within {limit} s") from None
    prefix = folder + os.sep
    errors = done.stderr.decode("utf-8", "backslashreplace").splitlines()
    frames = []
    for line in errors:
        match = FRAME.match(line)
        if match:
            path = match[1].removeprefix(prefix)
            if path in program["files"]:
                frames.append([path, int(match[2]), match[3]])
    last = [line.strip() for line in errors if line.strip()][-1:]
    return {"stdout": done.stdout.decode("utf-8", "backslashreplace"), "exit": done.returncode,
            "error": last[0].replace(prefix, "") if last else None, "frames": frames}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1200, help="programs in all (default 1200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reference", action="store_true", help="add what sys.executable makes of them")
    parser.add_argument("--jobs", type=int, default=2, help="native processes at a time")
    parser.add_argument("--limit", type=float, default=20, help="seconds for a native run")
    options = parser.parse_args()
    started = time.monotonic()
    programs = list(handwritten())[:options.count]
    hand = len(programs)
    programs += generated(options.count - hand, options.seed)

    def complete(program):
        if options.reference:
            program["native"] = native(program, options.limit)
        return program

    failing = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for program in pool.map(complete, programs):
            failing += options.reference and program["native"]["exit"] != 0
            print(json.dumps(program, ensure_ascii=False), flush=True)
    print(f"{len(programs)} programs, {hand} of them by hand, from {len(TEMPLATES)} templates"
          + (f", {failing} with an exit code other than 0" if options.reference else "")
          + f"; {time.monotonic() - started:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main()
