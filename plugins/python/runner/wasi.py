"""What the standard library takes for granted and the sandbox has not."""

import asyncio.selector_events
import selectors
import time


class Idle(selectors._BaseSelectorImpl):
    """Waits for time alone, as there is nothing else to wait for."""

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("the event loop waits for something that cannot happen in the sandbox")
        if timeout > 0:
            time.sleep(timeout)
        return []


def _make_self_pipe(self):
    self._ssock = self._csock = None


def _close_self_pipe(self):
    pass


def _process_self_data(self, data):
    pass


def prepare():
    """Makes `asyncio.run` work without the sockets that its loop wakes itself with."""
    selectors.DefaultSelector = Idle
    loop = asyncio.selector_events.BaseSelectorEventLoop
    loop._make_self_pipe = _make_self_pipe
    loop._close_self_pipe = _close_self_pipe
    loop._process_self_data = _process_self_data
