"""Simulated base meters of the wired LMN: SML inside TLS inside HDLC, on one bus.

The meters' side: HDLC secondary, TLS server with a certificate of its own, the gateway's pinned.
Every SNRM begins a session anew. Answers on the bus only when asked.
"""

import ssl

import serial

from clsbench.meters.port_thread import PortThread
from clsbench.meters.sml_answer import SmlResponder
from clsbench.net.framed_tls import FramedTls
from clsbench.net.lmn_bus import GATEWAY, station
from dicamm.proto import hdlc
from dicamm.proto.hdlc_station import CONNECTED, DATA, DISCONNECTED, HdlcSecondary

_WAIT_S = 0.05


class HdlcMeter:
    """One meter, sans port. failed: why TLS ended, oldest first; sessions: handshakes done.

    faults, to be set at any time: `deaf` answers nothing; `cut` loses every n-th answer.
    """

    def __init__(self, address: int, context: ssl.SSLContext, responder: SmlResponder):
        self.responder = responder
        self.failed: list[str] = []
        self.sessions = 0
        self.deaf = False
        self.cut = 0
        self._context = context
        self._secondary = HdlcSecondary(station(address), GATEWAY)
        self._tls: FramedTls | None = None
        self._waiting: list[bytes] = []
        self._answers = 0

    def take(self, frame: hdlc.HdlcFrame) -> bytes:
        """The bytes to send on a frame heard, b"" for none."""
        news = self._secondary.receive(frame)
        if news in (CONNECTED, DISCONNECTED):
            self._waiting = []
            self._tls = FramedTls(self._context, server=True) if news == CONNECTED else None
        if news == DATA and self._tls is not None:
            self._speak(self._tls, self._secondary.information)
        if self._waiting and not self._secondary.waiting:
            self._secondary.give(self._waiting.pop(0))
        reply = self._secondary.answer()
        if reply is None or self.deaf:
            return b""
        self._answers += 1
        if self.cut and self._answers % self.cut == 0:
            return b""
        return hdlc.encode(reply)

    def _speak(self, tls: FramedTls, information: bytes) -> None:
        was = tls.established
        try:
            for answer in self.responder.feed(tls.feed(information)):
                tls.write(answer)
        except ssl.SSLError as error:
            self.failed.append(str(error))
            self._tls = None
        self.sessions += tls.established and not was
        self._waiting += tls.frames()  # an alert, too


class HdlcBus(PortThread):
    """The meters of one bus, served from a thread."""

    def __init__(self, port: str, meters: list[HdlcMeter], baud: int = 921_600):
        super().__init__("hdlc-meter", port, baud, timeout=_WAIT_S)
        self.meters = meters

    def __enter__(self) -> "HdlcBus":
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _serve(self, line: serial.Serial) -> None:
        receiver = hdlc.HdlcReceiver()
        while not self._stopping.is_set():
            data = line.read(max(1, line.in_waiting))
            receiver.feed(data) if data else receiver.finish()
            while (event := receiver.next_event()) is not None:
                if event.kind == hdlc.FRAME:
                    for meter in self.meters:
                        line.write(meter.take(event.data))
