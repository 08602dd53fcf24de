"""The bench's end of a UART, in virtual time: half-duplex RS-485 with a driver-enable pin.

The transceiver is part of it: what the chip sends while its driver is off nobody hears, and what
comes while it is on the chip does not hear. Knows bytes and frames (3.5 characters of silence
end one), no protocol.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from clsbench.hil.board import Peer
from clsbench.hil.rp2040.wiring import Pins

_BITS = 10
_FRAME_END_CHARS = 3.5
_TOLERANCE = 0.04  # of the other end's bit; beyond it bytes arrive as others
_KEPT = 20000

SENT, HEARD = "sent", "heard"  # by the chip


class Wire:
    """baud: of the peers. enable: number of the pin that is high while the chip may send, or None.

    trace: (begin_s, end_s, SENT or HEARD, byte) of each byte on the line, the newest only.
    unsent: bytes of the chip that its driver was not on for. unheard: bytes for the chip that
    came while it was.
    """

    def __init__(
        self, number: int, baud: int, pins: Pins, now_s: Callable[[], float], enable: int | None
    ):
        self.number = number
        self.baud = baud
        self._pins = pins
        self._now_s = now_s
        self._enable = enable
        self._peer: Peer | None = None
        self._listener: Callable[[int], object] | None = None
        self._uart: Any = None
        self._clock: Any = None
        self._frame = bytearray()
        self._frame_end_s = 0.0
        self._arriving: deque[int] = deque()
        self.trace: deque[tuple[float, float, str, int]] = deque(maxlen=_KEPT)
        self.unsent = 0
        self.unheard = 0

    @property
    def char_s(self) -> float:
        """How long a byte of the peers lasts."""
        return _BITS / self.baud

    def connect(self, peer: Peer | None) -> None:
        """Has `peer` answer the chip's frames from now on; None: nobody."""
        self._peer = peer

    def listen(self, listener: Callable[[int], object] | None) -> None:
        """Has `listener` called with each byte of the chip, besides."""
        self._listener = listener

    def attach(self, mcu: Any) -> None:
        """A fresh life of the chip."""
        self._uart = mcu.uart[self.number]
        self._uart.on_byte = self._byte_left
        self._clock = mcu.clock
        self._frame.clear()
        self._arriving.clear()
        self._silence = mcu.clock.create_alarm(self._frame_ends)
        self._arrival = mcu.clock.create_alarm(self._byte_arrives)

    def detach(self) -> None:
        """The supply is off."""
        self._uart = None

    def say(self, data: bytes, delay_s: float = 0.0) -> None:
        """Puts bytes on the line, after those that are still on their way."""
        if self._uart is None or not data:
            return
        idle = not self._arriving
        self._arriving += data
        if idle:
            self._arrival.schedule((max(0.0, delay_s) + self.char_s) * 1e9)

    # the chip sends

    def _byte_left(self, byte: int) -> None:
        end_s = self._now_s()
        begin_s = end_s - self._char_of_chip_s()
        self.trace.append((begin_s, end_s, SENT, byte))
        if not self._enabled_since(begin_s):
            self.unsent += 1
            return
        if self._mistaken():
            byte ^= 0xFF
        if self._listener is not None:
            self._listener(byte)
        self._frame.append(byte)
        self._frame_end_s = end_s
        self._silence.schedule(_FRAME_END_CHARS * self.char_s * 1e9)

    def _frame_ends(self) -> None:
        frame = bytes(self._frame)
        self._frame.clear()
        if self._peer is None:
            return
        for delay_s, reply in self._peer(frame):
            due_s = self._frame_end_s + delay_s - self._now_s()
            alarm = self._clock.create_alarm(lambda reply=reply: self.say(reply))
            alarm.schedule(max(0.0, due_s) * 1e9)

    # the chip hears

    def _byte_arrives(self) -> None:
        byte = self._arriving.popleft()
        if self._arriving:
            self._arrival.schedule(self.char_s * 1e9)
        end_s = self._now_s()
        self.trace.append((end_s - self.char_s, end_s, HEARD, byte))
        if self._enable is not None and not self._disabled_since(end_s - self.char_s):
            self.unheard += 1
            return
        self._uart.feed_byte(byte ^ 0xFF if self._mistaken() else byte)

    def _mistaken(self) -> bool:
        chip_s = self._char_of_chip_s()
        return abs(chip_s - self.char_s) > _TOLERANCE * self.char_s

    def _char_of_chip_s(self) -> float:
        return getattr(self._uart, "char_ns", self.char_s * 1e9) / 1e9

    def _enabled_since(self, begin_s: float) -> bool:
        return self._enable is None or self._steady(1, begin_s)

    def _disabled_since(self, begin_s: float) -> bool:
        return self._steady(0, begin_s)

    def _steady(self, wanted: int, begin_s: float) -> bool:
        edges = self._pins.edges(self._enable or 0)
        if not edges:
            return wanted == 0
        when_s, now = edges[-1]
        return now == wanted and when_s <= begin_s
