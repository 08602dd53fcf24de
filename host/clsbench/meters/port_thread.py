"""A thread that plays meters on a serial port: begun, watched, ended. Knows no protocol."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import serial

from clsbench.errors import EnvironmentProblem


class PortThread:
    """What each protocol does with the port is its own `_serve`. line: arguments of pyserial.

    `start` raises EnvironmentProblem when the port cannot be opened; what breaks the thread later
    is raised by `stop`.
    """

    def __init__(self, name: str, port: str, baud: int, **line: Any):
        self._name = name
        self._port = port
        self._baud = baud
        self._line = line
        self._stopping = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._work: Future[None] | None = None

    def start(self) -> Self:
        """Opens the port and begins to serve."""
        try:
            line = serial.Serial(self._port, self._baud, **self._line)
        except (serial.SerialException, OSError) as error:
            raise EnvironmentProblem(
                f"meter port {self._port}: cannot be opened: {error}"
            ) from error
        self._stopping.clear()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self._work = self._pool.submit(self._run, line)
        return self

    @property
    def running(self) -> bool:
        """Whether the thread is at work: it is not before `start` nor when it has failed."""
        return self._work is not None and not self._work.done()

    def stop(self) -> None:
        """Ends the thread and closes the port; raises what went wrong in the thread."""
        if self._pool is None or self._work is None:
            return
        self._stopping.set()
        self._pool.shutdown()
        self._pool = None
        self._work.result()

    def _run(self, line: serial.Serial) -> None:
        with line:
            self._serve(line)

    def _serve(self, line: serial.Serial) -> None:
        """At work until `_stopping` is set."""
        raise NotImplementedError
