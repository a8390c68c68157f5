"""Standard streams, and what stands in for them while a test runs."""

import io
import sys

LIMIT = 64 * 1024


def standard():
    """Buffered streams, made once: the interpreter's own are unbuffered, so each `print` would be two calls of the host."""
    stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "r", closefd=False)), "utf-8", "surrogateescape")
    stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "utf-8", "surrogateescape")
    stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)), "utf-8", "backslashreplace", line_buffering=True
    )
    for stream, name, mode in ((stdin, "<stdin>", "r"), (stdout, "<stdout>", "w"), (stderr, "<stderr>", "w")):
        stream.mode = mode
        stream.buffer.raw.name = name
    return stdin, stdout, stderr


def flush(streams):
    """Flushes what can be flushed; a program may have closed any of them."""
    for stream in streams[1:]:
        try:
            stream.flush()
        except BaseException:
            pass


class _Sink(io.BytesIO):
    """The bytes of one stream, which also go to what is kept of both."""

    def __init__(self, both):
        super().__init__()
        self.both = both

    def write(self, data):
        data = bytes(data)
        self.both.add(data)
        if self.tell() < LIMIT:
            super().write(data[: LIMIT - self.tell()])
        return len(data)

    def take(self):
        """What came since the last time."""
        data = self.getvalue()
        self.seek(0)
        self.truncate()
        return data.decode("utf-8", "replace")

    def close(self):
        """The output outlives a program that closes its streams."""


class Capture:
    """Takes what is printed, as far as `LIMIT`."""

    def __init__(self):
        self.parts = []
        self.size = 0
        self.cut = False
        self.out = _Sink(self)
        self.err = _Sink(self)

    def add(self, data):
        if self.size + len(data) > LIMIT:
            data = data[: LIMIT - self.size]
            self.cut = True
        if data:
            self.parts.append(data)
            self.size += len(data)

    def __enter__(self):
        self.before = sys.stdin, sys.stdout, sys.stderr
        self.stdin = io.TextIOWrapper(io.BytesIO(), "utf-8")
        self.stdout = io.TextIOWrapper(self.out, "utf-8", "backslashreplace", newline="", write_through=True)
        self.stderr = io.TextIOWrapper(self.err, "utf-8", "backslashreplace", newline="", write_through=True)
        self.resume()
        return self

    def resume(self):
        sys.stdin, sys.stdout, sys.stderr = self.stdin, self.stdout, self.stderr

    def __exit__(self, *_):
        sys.stdin, sys.stdout, sys.stderr = self.before

    def taken(self):
        """What both streams got since the last time, for `capsys`."""
        for stream in (self.stdout, self.stderr):
            try:
                stream.flush()
            except ValueError:
                pass
        return self.out.take(), self.err.take()

    def text(self):
        """All that was printed."""
        for stream in (self.stdout, self.stderr):
            try:
                stream.flush()
            except ValueError:
                pass
        text = b"".join(self.parts).decode("utf-8", "replace")
        return text + "\n… (the rest of the output is cut)" if self.cut else text
