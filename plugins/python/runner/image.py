"""Makes the image of the memory one that instances write little to.

A page that an instance writes to is a page fault, a copy, and memory of its own. Two things write all over the image,
whatever a program does: counts of references, and new objects in holes between old ones. So the holes are filled, and
all objects of the image are listed for the build, which makes them immortal (`xtask/src/immortal.rs`): CPython does not
count references to those. It has no call for that.
"""

import array
import gc
import sys
import types

# Larger than any hole.
_ROOM = 3 << 20
_HEADER = bytes.__basicsize__ - 1
_LIVING = types.FrameType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType
# What stands in front of the list. It is turned around here, so that it is nowhere else.
_MARK = b"\0stcejbo fo tsil eht si ereh"
_contents = type.__dict__["__dict__"].__get__
_kept = []


def settle():
    """Has to be the last thing that happens while the component is built."""
    gc.collect()
    _list()
    gc.collect()
    _fill()
    gc.freeze()


def _list():
    """Writes down where all objects are, and keeps them: what is freed is no object any more."""
    objects = _all()
    addresses = array.array("I", map(id, objects))
    head = array.array("I", [id(None), len(addresses), sum(addresses) & 0xFFFFFFFF])
    _kept.append(objects)
    _kept.append(bytes(reversed(_MARK)) + head.tobytes() + addresses.tobytes())


def _all():
    """All objects that are mortal, but for what is in the middle of being run."""
    seen, found = set(), []
    pending = [object, *gc.get_objects()]
    ours = {id(pending), id(seen), id(found)}
    while pending:
        one = pending.pop()
        if id(one) in seen or id(one) in ours or isinstance(one, _LIVING):
            continue
        seen.add(id(one))
        if not sys._is_immortal(one):
            found.append(one)
        pending += gc.get_referents(one)
        if isinstance(one, dict):
            pending += dict.keys(one)
        elif isinstance(one, type):
            pending += gc.get_referents(_contents(one))
            pending += type.__subclasses__(one)
            pending += one.__name__, one.__qualname__, one.__mro__, one.__bases__
        elif isinstance(one, types.CodeType):
            pending += one.co_consts, one.co_names, one.co_filename, one.co_name, one.co_qualname
            pending += one.co_linetable, one.co_exceptiontable
            pending += *one.co_varnames, *one.co_cellvars, *one.co_freevars
    return found


def _fill():
    """Fills the holes of the heap, large ones first, so that what an instance makes lies together behind everything else."""
    end = id(bytes(_ROOM))
    room = [None] * 200_000
    at = 0
    for size in [*(1 << n for n in range(20, 12, -1)), *range(4096, 0, -16)]:
        while True:
            block = bytes(size - _HEADER - 5) if size > 16 else object()
            if id(block) > end:
                # It would leave a hole if it were still there when the next one is made.
                block = None
                break
            room[at] = block
            at += 1
    del room[at:]
    _kept.append(room)
    frame = sys._getframe()
    while frame is not None:
        _kept.append(frame.f_code)
        frame = frame.f_back
