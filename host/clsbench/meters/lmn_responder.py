"""A base meter on the LMN that speaks when asked: SML requests in, answers out, on a port."""

import serial

from clsbench.errors import EnvironmentProblem
from clsbench.meters.port_thread import PortThread
from clsbench.meters.sml_answer import SmlResponder
from clsbench.meters.sml_faults import SmlFaults

_WAIT_S = 0.05


class LmnResponder(PortThread):
    """Answers the requests that come to `port`; `faults` counts its answers."""

    def __init__(
        self, port: str, responder: SmlResponder, baud: int = 9600, faults: SmlFaults | None = None
    ):
        super().__init__("sml-responder", port, baud, timeout=_WAIT_S)
        self.responder = responder
        self.faults = faults or SmlFaults()

    def _serve(self, line: serial.Serial) -> None:
        while not self._stopping.is_set():
            try:
                for answer in self.responder.feed(line.read(max(1, line.in_waiting))):
                    line.write(self.faults.spoil(self.faults.next_step(), answer))
            except serial.SerialException as error:
                raise EnvironmentProblem(f"meter port {self._port}: {error}") from error
