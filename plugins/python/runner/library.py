"""The standard library of an instance, which has no files to import from.

What is imported while the component is built is in every instance at no cost.
The rest is kept as marshalled code and imported from there when it is asked for.
"""

import importlib
import importlib.abc
import importlib.machinery
import io
import linecache
import marshal
import os
import posixpath
import random
import sys
import types

PRELOADED = """
re json math cmath collections collections.abc itertools functools typing dataclasses string random datetime
_strptime decimal fractions statistics heapq bisect copy enum abc operator unittest unittest.mock unittest.async_case
doctest io contextlib traceback textwrap hashlib hmac time calendar inspect types numbers array struct base64 binascii
uuid pprint secrets queue difflib csv urllib.parse html html.parser pathlib os sys warnings weakref argparse logging
asyncio ast keyword tokenize threading concurrent.futures contextvars locale codecs unicodedata zlib shlex graphlib
reprlib copyreg pickle tempfile shutil glob fnmatch gettext signal string.templatelib cProfile timeit selectors zoneinfo
ipaddress configparser gc atexit builtins __future__ colorsys sched optparse platform marshal linecache importlib.util
importlib.resources pkgutil errno stat xml.etree.ElementTree _pyrepl _pylong _colorize _strptime pdb cmd
""".split()

SKIPPED = {
    "test", "idlelib", "tkinter", "turtledemo", "turtle", "lib2to3", "ensurepip", "site-packages", "venv", "pydoc_data",
    "__phello__", "curses", "msilib", "antigravity", "_ios_support", "_android_support", "_apple_support",
    "_osx_support", "_aix_support", "ctypes", "multiprocessing", "idle_test", "__pycache__", "lib-dynload", "dbm",
    "sqlite3", "this", "_pyrepl",
}  # fmt: skip

# What CPython itself has imported before a script begins; files of the same name cannot shadow it.
AT_START = set("""
sys builtins _frozen_importlib _imp _thread _warnings _weakref _io marshal posix _frozen_importlib_external time zipimport
_codecs codecs encodings encodings.aliases encodings.utf_8 _signal _abc abc io __main__ _stat stat _collections_abc
genericpath posixpath os.path os _sitebuiltins site linecache importlib
""".split()) | {"pytest"}  # fmt: skip


class Kept(importlib.abc.InspectLoader):
    """Imports from what is kept in memory."""

    def __init__(self):
        self.modules = {}

    def keep(self, name, path, package):
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)
        self.modules[name] = path, package, marshal.dumps(code)

    def find_spec(self, name, path=None, target=None):
        if (module := self.modules.get(name)) is None:
            return None
        spec = importlib.machinery.ModuleSpec(name, self, origin=module[0], is_package=module[1])
        spec.has_location = True
        return spec

    def get_code(self, name):
        return marshal.loads(self.modules[name][2])

    def get_source(self, name):
        return None

    def is_package(self, name):
        return self.modules[name][1]


KEPT = Kept()
EXTENSIONS = {}


def preload():
    """Imports what programs use most."""
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            pass


def keep_the_rest():
    """Keeps all other modules of the standard library."""
    root = next((p for p in sys.path if os.path.exists(os.path.join(p, "json", "__init__.py"))), None)
    if root is None:
        return
    pending = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        for entry in sorted(os.listdir(folder)):
            path = posixpath.join(folder, entry)
            stem, ending = posixpath.splitext(entry)
            if (entry in SKIPPED or stem in SKIPPED) and prefix + stem not in sys.modules:
                continue
            if ending == ".py":
                package = stem == "__init__"
                name = prefix[:-1] if package else prefix + stem
                if name and stem != "__main__":
                    KEPT.keep(name, path, package)
            elif os.path.exists(posixpath.join(path, "__init__.py")):
                pending.append((path, prefix + entry + "."))


def seal():
    """Takes away what looks at files, and what an instance would not find again."""
    from runner import wasi

    wasi.prepare()
    sys.meta_path[:] = [importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter, KEPT]
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()
    sys.path[:] = []
    linecache.clearcache()
    re_purge = sys.modules["re"].purge
    re_purge()


_OWN = "app", "runner", "wit_world", "componentize_py_types", "componentize_py_runtime", "componentize_py_async_support"
_own = {}


def _is_own(name):
    return name.partition(".")[0] in _OWN


def hide():
    """Takes the runner's modules away, but for those that the component itself still looks for: these are remembered, as looking for them in each instance would touch all modules' names."""
    for name in [name for name in sys.modules if name.startswith("runner")]:
        del sys.modules[name]
    _own.update((name, module) for name, module in sys.modules.items() if _is_own(name))


def begin(seed=random.seed):
    """What has to happen in each instance: what is left of the runner's modules gives way to those of the code, and chance is new."""
    modules = sys.modules
    for name in _own:
        modules.pop(name, None)
    seed()


def give_way(names):
    """Lets files take the place of modules that a script could shadow."""
    frozen = importlib.machinery.FrozenImporter
    for name in names:
        if name in sys.modules and name not in AT_START and name not in sys.builtin_module_names:
            for other in [m for m in sys.modules if m == name or m.startswith(name + ".")]:
                del sys.modules[other]
