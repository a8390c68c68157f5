"""Imports what was handed in from memory."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import posixpath
import sys
import types

from runner import library


class Senseless(Exception):
    """The task makes no sense. Not the fault of code that runs."""


def module_name(path):
    """The name under which a path is imported from the root of the files."""
    name = path.removesuffix(".py")
    return name.removesuffix("/__init__").replace("/", ".")


def _normal(folder):
    folder = posixpath.normpath(folder).lstrip("/") if folder else ""
    return "" if folder == "." else folder


class Loader(importlib.abc.InspectLoader):
    """Loads one file. Execution is importlib's, so that its frames are dropped from tracebacks."""

    def __init__(self, files, path):
        self.files = files
        self.path = path

    def get_code(self, name):
        return self.files.code(self.path)

    def get_source(self, name):
        return self.files.texts[self.path]

    def get_filename(self, name):
        return self.path

    def is_package(self, name):
        return posixpath.basename(self.path) == "__init__.py"


class Files:
    """The files as a finder on `sys.meta_path`, which searches the folders of `sys.path`."""

    def __init__(self, texts):
        self.texts = texts
        self.rewrite = {}
        self.folders = set()
        for path in texts:
            while path := posixpath.dirname(path):
                self.folders.add(path)

    def install(self, *folders):
        """Makes the files importable, those of `folders` first."""
        sys.path[:] = dict.fromkeys([*folders, ""])
        top = set()
        for path in self.texts:
            for folder in sys.path:
                if not folder or path.startswith(folder + "/"):
                    rest = path[len(folder) + 1 if folder else 0 :]
                    first, _, inside = rest.partition("/")
                    if first.endswith(".py") or inside.startswith("__init__."):
                        top.add(first.removesuffix(".py"))
        library.give_way(top)
        at = sys.meta_path.index(library.KEPT) if library.KEPT in sys.meta_path else 0
        sys.meta_path.insert(at, self)
        return self

    def find_spec(self, name, path=None, target=None):
        last = name.rpartition(".")[2]
        spaces = []
        for folder in list(sys.path) if path is None else list(path):
            if type(folder) is not str:
                continue
            folder = _normal(folder)
            base = f"{folder}/{last}" if folder else last
            for at in (base + "/__init__.py", base + ".py"):
                if at in self.texts:
                    return self.spec(name, at)
            if base in self.folders:
                spaces.append(base)
        if spaces and name not in library.KEPT.modules:
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = spaces
            return spec
        return None

    def spec(self, name, path):
        loader = Loader(self, path)
        spec = importlib.machinery.ModuleSpec(name, loader, origin=path, is_package=loader.is_package(name))
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations = [posixpath.dirname(path)]
        spec.has_location = True
        spec.cached = None
        return spec

    def show(self, path):
        """Lets tracebacks show the lines of a file."""
        text = self.texts[path]
        lines = text.splitlines(True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        linecache.cache[path] = len(text), None, lines, path

    def code(self, path):
        self.show(path)
        change = self.rewrite.get(path)
        source = self.texts[path].removeprefix("\ufeff")
        if change is not None:
            return change(source, path)
        return compile(source, path, "exec", dont_inherit=True)

    def load(self, path):
        """The module of a file, imported under the name that other files would use."""
        name = module_name(path)
        if "." in posixpath.basename(path).removesuffix(".py"):
            return self.fresh(name.replace(".", "_"), path)
        for folder in sys.path:
            if folder and path.startswith(folder + "/"):
                name = module_name(path[len(folder) + 1 :])
                break
        module = importlib.import_module(name)
        if getattr(module, "__file__", None) != path:
            return self.fresh(name, path)
        return module

    def fresh(self, name, path):
        """A module of a file whose name may be taken."""
        spec = self.spec(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module


def ready(texts, path):
    """The files, of which one is to be used."""
    if path not in texts:
        raise Senseless(f"`{path}` is none of the files")
    return Files(texts).install(posixpath.dirname(path))
