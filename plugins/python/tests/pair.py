"""Two instances as two processes, joined by pipes, for tests without a component."""

import json
import os
import struct
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from runner import apart, library, submission


def _exchange(source, sink, count):
    def exchange(message):
        if message is not None:
            count.append(1)
            try:
                sink.write(struct.pack("<I", len(message)) + message)
                sink.flush()
            except BrokenPipeError:
                return None
        head = source.read(4)
        return source.read(struct.unpack("<I", head)[0]) if len(head) == 4 else None

    return exchange


def _child(ends, mine, side):
    """Starts a side in a process of its own."""
    if pid := os.fork():
        return pid
    try:
        for end in ends:
            if end not in mine:
                os.close(end)
        library.begin()
        side()
    except BaseException:
        import traceback

        traceback.print_exc(file=sys.__stderr__)
        os._exit(1)
    os._exit(0)


def run(files, tests, forger=None):
    """What came of tests in one process whose code is in another one, or a forger in its place."""
    to_code, from_tests = os.pipe()
    to_tests, from_code = os.pipe()
    report, reported = os.pipe()
    ends = [to_code, from_tests, to_tests, from_code, report, reported]

    def code():
        exchange = _exchange(os.fdopen(to_code, "rb"), os.fdopen(from_code, "wb"), [])
        if forger is None:
            apart.serve(files, exchange)
        else:
            exec(forger, {"exchange": exchange, "json": json})

    def testing():
        count, results, begun, problem = [], [], [], None
        exchange = _exchange(os.fdopen(to_tests, "rb"), os.fdopen(from_tests, "wb"), count)

        def end(one):
            assert begun[-1] == one.name
            results.append({name: getattr(one, name) for name in one.__slots__})

        try:
            apart.run(list(files), tests, begun.append, end, exchange)
        except submission.Senseless as caught:
            problem = str(caught)
        with os.fdopen(reported, "w") as file:
            json.dump({"results": results, "problem": problem, "messages": len(count)}, file)

    children = [_child(ends, (to_code, from_code), code), _child(ends, (to_tests, from_tests, reported), testing)]
    for end in ends:
        if end != report:
            os.close(end)
    with os.fdopen(report) as file:
        text = file.read()
    for pid in children:
        os.waitpid(pid, 0)
    return json.loads(text) if text else {"results": [], "problem": "the tests' process crashed", "messages": 0}
