"""The RP2040's UART with the times of a wire: shift register, FIFOs of 32, overrun, time-out.

Stands in for rp2040py's, which sends in no time at all, takes bytes without end and knows one
interrupt level. Source: RP2040 datasheet 4.2 and ARM PL011 technical reference manual (DDI 0183).
"""

from collections import deque

from rp2040py.peripherals.uart import RPUART

_DR = 0x00
_RSR = 0x04
_FR = 0x18
_LCR_H = 0x2C
_IFLS = 0x34
_ICR = 0x44

_BUSY, _RXFE, _TXFF, _RXFF, _TXFE = 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7
_RX, _TX, _TIMEOUT, _OVERRUN = 1 << 4, 1 << 5, 1 << 6, 1 << 10  # interrupts

DEPTH = 32
_LEVELS = (4, 8, 16, 24, 28)  # of IFLS: eighths of the FIFO
_RESET_IFLS = 0x12
_PERI_CTRL = 0x48
_PERI_FROM_USB_PLL = 2  # AUXSRC of CLK_PERI_CTRL: 48 MHz
_USB_PLL_HZ = 48_000_000


class TimedUart(RPUART):
    """`on_byte` is called when a byte's stop bit has left. lost: bytes that came while the
    receive FIFO was full; refused: bytes written into a full transmit FIFO."""

    lost: int
    refused: int

    def begin(self) -> None:
        """Takes over from the emulator's own, before anything runs."""
        clock = self.rp2040.clock
        self._sent = clock.create_alarm(self._byte_left)
        self._silence = clock.create_alarm(self._fell_silent)
        self.lost = 0
        self.refused = 0
        self._clear()

    def reset(self) -> None:
        super().reset()
        self._sent.cancel()
        self._silence.cancel()
        self._clear()

    def _clear(self) -> None:
        self._waiting: deque[int] = deque()
        self._shifting: int | None = None
        self._levels = _RESET_IFLS

    # times

    @property
    def bit_ns(self) -> float:
        """How long a bit lasts; by the divisor and by where the chip takes its clock from."""
        divisor = (self._int_divisor + self._frac_divisor / 64) * 16
        return divisor * 1e9 / self._clock_hz()

    @property
    def char_ns(self) -> float:
        """How long a byte lasts, with start, parity and stop."""
        line = self._line_ctrl_register
        bits = 2 + self.word_length + bool(line & 2) + bool(line & 8)
        return bits * self.bit_ns

    def _clock_hz(self) -> int:
        source = self.rp2040.clocks.read_uint32(_PERI_CTRL) >> 5 & 7
        return _USB_PLL_HZ if source == _PERI_FROM_USB_PLL else self.rp2040.clk_sys

    @property
    def _depth(self) -> int:
        return DEPTH if self.fifos_enabled else 1

    # sending

    @property
    def sending(self) -> bool:
        """Whether bits leave."""
        return self._shifting is not None

    def _send(self, value: int) -> None:
        if len(self._waiting) >= self._depth:
            self.refused += 1
            return
        self._waiting.append(value)
        if len(self._waiting) > self._send_level():
            self._interrupt_status &= ~_TX
        if self._shifting is None:
            self._next()

    def _next(self) -> None:
        was = len(self._waiting)
        self._shifting = self._waiting.popleft()
        if was > self._send_level() >= len(self._waiting):
            self._interrupt_status |= _TX
        self._sent.schedule(self.char_ns)
        self.check_interrupts()

    def _byte_left(self) -> None:
        value = self._shifting
        self._shifting = None
        if self._waiting:
            self._next()
        if self.on_byte and value is not None:
            self.on_byte(value)

    def _send_level(self) -> int:
        return _LEVELS[min(self._levels & 7, 4)] if self.fifos_enabled else 0

    # receiving

    def feed_byte(self, value: int) -> None:
        """A byte whose stop bit has just been heard."""
        if not (self.enabled and self.rx_enabled):
            return
        if self.rx_fifo.item_count >= self._depth:
            self.lost += 1
            self._interrupt_status |= _OVERRUN
            self.check_interrupts()
            return
        self.rx_fifo.push(value)
        if self.rx_fifo.item_count >= self._receive_level():
            self._interrupt_status |= _RX
        self._silence.schedule(32 * self.bit_ns)
        self.check_interrupts()

    def _fell_silent(self) -> None:
        if not self.rx_fifo.empty:
            self._interrupt_status |= _TIMEOUT
            self.check_interrupts()

    def _receive_level(self) -> int:
        return _LEVELS[min(self._levels >> 3 & 7, 4)] if self.fifos_enabled else 1

    def _take(self) -> int:
        value = self.rx_fifo.pull()
        if self.rx_fifo.item_count < self._receive_level():
            self._interrupt_status &= ~_RX
        if self.rx_fifo.empty:
            self._interrupt_status &= ~_TIMEOUT
        self.check_interrupts()
        return value

    # registers

    @property
    def flags(self) -> int:
        busy = self._shifting is not None or bool(self._waiting)
        return (
            _BUSY * busy
            | _RXFE * self.rx_fifo.empty
            | _TXFF * (len(self._waiting) >= self._depth)
            | _RXFF * (self.rx_fifo.item_count >= self._depth)
            | _TXFE * (not self._waiting)
        )

    def check_interrupts(self) -> None:
        self.rp2040.set_interrupt(self.irq, bool(self._interrupt_status & self._interrupt_mask))

    def read_uint32(self, offset: int) -> int:
        if offset == _DR:
            return self._take()
        if offset == _RSR:
            return 0
        if offset == _IFLS:
            return self._levels
        return super().read_uint32(offset)

    def write_uint32(self, offset: int, value: int) -> None:
        if offset == _DR:
            self._send(value & 0xFF)
        elif offset == _IFLS:
            self._levels = value & 0x3F
        elif offset == _RSR:
            self._interrupt_status &= ~_OVERRUN
        else:
            super().write_uint32(offset, value)
