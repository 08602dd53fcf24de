"""A base meter on the LMN that speaks when asked: SML requests in, answers out, on a port."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import serial

from clsbench.errors import EnvironmentProblem
from clsbench.meters.sml_answer import SmlResponder
from clsbench.meters.sml_faults import SmlFaults

_WAIT_S = 0.05


class LmnResponder:
    """A thread that answers the requests that come to `port`; `faults` counts its answers.

    `start` raises EnvironmentProblem when the port cannot be opened; what breaks the thread later
    is raised by `stop`.
    """

    def __init__(
        self, port: str, responder: SmlResponder, baud: int = 9600, faults: SmlFaults | None = None
    ):
        self.responder = responder
        self.faults = faults or SmlFaults()
        self._port = port
        self._baud = baud
        self._stopping = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._work: Future[None] | None = None

    def start(self) -> None:
        """Opens the port and begins to answer."""
        try:
            line = serial.Serial(self._port, self._baud, timeout=_WAIT_S)
        except (serial.SerialException, OSError) as error:
            raise EnvironmentProblem(
                f"meter port {self._port}: cannot be opened: {error}"
            ) from error
        self._stopping.clear()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sml-responder")
        self._work = self._pool.submit(self._run, line)

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
            while not self._stopping.is_set():
                try:
                    for answer in self.responder.feed(line.read(max(1, line.in_waiting))):
                        line.write(self.faults.spoil(self.faults.next_step(), answer))
                except serial.SerialException as error:
                    raise EnvironmentProblem(f"meter port {self._port}: {error}") from error
