"""Orders from any thread to the one thread that owns a board.

Knows neither boards nor what an order does.
"""

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from clsbench.errors import EnvironmentProblem
from clsbench.hil.ptys import read_some


class Orders:
    """A queue of orders; `fd` is readable while some wait.

    name: what errors call the owner. The owner sets `thread` before the first order, calls
    `serve` when `fd` is readable and `close` at its end.
    """

    def __init__(self, name: str):
        self.thread: threading.Thread | None = None
        self.closed = False
        self._name = name
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = (
            queue.SimpleQueue()
        )
        self.fd, self._wake = os.pipe()
        os.set_blocking(self.fd, False)

    def give(self, action: Callable[[], None]) -> None:
        """Has the owner do something and waits for it; the owner itself does not wait.

        Raises EnvironmentProblem when the owner is gone, or the system refused it.
        """
        done: Future[None] = Future()
        with self._lock:
            if self.closed:
                raise EnvironmentProblem(f"{self._name} is closed")
            self._waiting.put((action, done))
            os.write(self._wake, b"!")
        if threading.current_thread() is not self.thread:
            done.result()

    def serve(self) -> None:
        """Does what waits."""
        read_some(self.fd)
        while not self._waiting.empty():
            action, done = self._waiting.get()
            try:
                action()
            except OSError as error:
                done.set_exception(EnvironmentProblem(f"{self._name}: {error}"))
            else:
                done.set_result(None)
            finally:
                if not done.done():  # the owner ends here; its caller must not wait for ever
                    done.set_exception(EnvironmentProblem(f"{self._name} broke down"))

    def close(self) -> None:
        """Refuses what waits and what comes."""
        with self._lock:
            self.closed = True
            while not self._waiting.empty():
                _, done = self._waiting.get()
                done.set_exception(EnvironmentProblem(f"{self._name} is closed"))
            os.close(self.fd)
            os.close(self._wake)
