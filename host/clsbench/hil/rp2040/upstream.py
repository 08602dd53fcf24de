"""What rp2040py does otherwise than the chip, and what is put in its place, from outside.

Measured with rp2040py 0.3.6. Each entry of DEFECTS has a probe that tries the behaviour itself:
where a newer rp2040py has it right, its own code stays and ours drops away.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rp2040py.gpio_pin import FUNCTION_SIO, GPIOPinState
from rp2040py.peripherals.peripheral import UnimplementedPeripheral
from rp2040py.peripherals.ssi import CMD_READ_STATUS_1, CMD_SECTOR_ERASE, CMD_WRITE_ENABLE, RPSSI
from rp2040py.peripherals.uart import RPUART
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator
from rp2040py.sio import RPSIO
from rp2040py.usb.cdc import USBCDC
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from clsbench.hil.rp2040.flash_model import TimedFlash
from clsbench.hil.rp2040.uart_model import TimedUart

_OUT = 2  # an endpoint's number, for the probe
_UART_CR, _UART_DR, _UART_LCR_H, _UART_IBRD, _UART_FR = 0x30, 0x00, 0x2C, 0x24, 0x18
_BUSY = 1 << 3
_SSI_SSIENR, _SSI_DR0 = 0x08, 0x60
_FLASH_BUSY = 1
_SIO_IN, _SIO_OUT_SET, _SIO_OE_SET = 0x004, 0x014, 0x024
_INPUT_ENABLED = 1 << 6  # of a pad
_PIO_ADDRESSES = (0x50200, 0x50300)  # as the chip's table of blocks has them
_PIO_CTRL, _PIO_PROGRAM, _JUMP_X_DOWN = 0x000, 0x048, 0x0040
_FP = 256  # rp2040py counts PIO cycles in fractions
_NEVER = 1 << 60
_CYCLE_NS = 8.0
_ROSC, _RANDOMBIT = 0x40060000, 0x1C
_noise = random.Random(0x40060000)


@dataclass(frozen=True)
class Defect:
    """name, replaces: for people. present(): tries it out on a chip of its own. mend(chip, cdc):
    puts ours in its place."""

    name: str
    replaces: str
    present: Callable[[], bool]
    mend: Callable[[RP2040, USBCDC], None]


def mend(chip: RP2040, cdc: USBCDC) -> list[str]:
    """Mends what this rp2040py has wrong; names of what was mended."""
    found = [defect for defect in DEFECTS if _present(defect)]
    for defect in found:
        defect.mend(chip, cdc)
    return [defect.name for defect in found]


_probed: dict[str, bool] = {}


def _present(defect: Defect) -> bool:
    if defect.name not in _probed:
        _probed[defect.name] = defect.present()
    return _probed[defect.name]


# -- the host's side of the USB console


class _UsbRecorder:
    """Takes the place of the controller for the probe."""

    def __init__(self) -> None:
        self.done: list[bytes] = []

    def endpoint_read_done(self, _endpoint: int, buffer: bytes) -> None:
        self.done.append(bytes(buffer))


def _answers_idle_endpoint() -> bool:
    usb: Any = _UsbRecorder()
    cdc: Any = USBCDC(usb)
    cdc._out_endpoint = _OUT
    usb.on_endpoint_read(_OUT, 64)
    return usb.done == [b""]


class HostSide:
    """Completes a transfer to the board when there are bytes for it, as a host does.

    rp2040py completes it at once, with an empty packet, over and over: a storm of interrupts in
    which the board's Python runs at a third of its speed and no idle time can be skipped.
    """

    def __init__(self, cdc: Any):
        self._cdc = cdc
        self._awaited: int | None = None  # size of the transfer that the board has asked for
        self._read = cdc.usb.on_endpoint_read
        self._reset = cdc.usb.on_reset
        cdc.usb.on_endpoint_read = self._asked
        cdc.usb.on_reset = self._on_reset

    def offer(self) -> None:
        """There may be new bytes in the FIFO to the board."""
        if self._awaited is not None and self._cdc.tx_fifo.item_count:
            size, self._awaited = self._awaited, None
            self._read(self._cdc._out_endpoint, size)

    def _asked(self, endpoint: int, size: int) -> None:
        if endpoint == self._cdc._out_endpoint and not self._cdc.tx_fifo.item_count:
            self._awaited = size
        else:
            self._read(endpoint, size)

    def _on_reset(self) -> None:
        self._awaited = None
        if self._reset:
            self._reset()


def _quiet_console(_chip: RP2040, cdc: Any) -> None:
    cdc.host_side = HostSide(cdc)


# -- UART


def _uart_sends_in_no_time() -> bool:
    uart = RP2040().uart[0]
    uart.write_uint32(_UART_IBRD, 813)
    uart.write_uint32(_UART_LCR_H, 0x70)
    uart.write_uint32(_UART_CR, 0x301)
    uart.write_uint32(_UART_DR, 0x55)
    return not uart.read_uint32(_UART_FR) & _BUSY


def _time_uarts(chip: RP2040, _cdc: USBCDC) -> None:
    for each in chip.uart:
        uart: Any = each
        uart.__class__ = TimedUart
        uart.begin()


# -- flash


def _flash_is_never_busy() -> bool:
    chip = RP2040()
    ssi: Any = chip.ssi
    ssi.write_uint32(_SSI_SSIENR, 1)
    for order in ((CMD_WRITE_ENABLE,), (CMD_SECTOR_ERASE, 0, 0, 0)):
        _command(ssi, order)
    return not _command(ssi, (CMD_READ_STATUS_1, 0))[-1] & _FLASH_BUSY


def _command(ssi: Any, order: tuple[int, ...]) -> list[int]:
    ssi._on_cs_pin_changed(GPIOPinState.LOW, GPIOPinState.HIGH)
    for byte in order:
        ssi.write_uint32(_SSI_DR0, byte)
    answer = [ssi.read_uint32(_SSI_DR0) for _ in order]
    ssi._on_cs_pin_changed(GPIOPinState.HIGH, GPIOPinState.LOW)
    return answer


def _time_flash(chip: RP2040, _cdc: USBCDC) -> None:
    ssi: Any = chip.ssi
    ssi.__class__ = TimedFlash
    ssi.begin()


# -- pins


def _outputs_read_as_low() -> bool:
    chip: Any = RP2040()
    chip.gpio[0].ctrl = FUNCTION_SIO
    chip.gpio[0].pad_value = _INPUT_ENABLED
    for register in (_SIO_OE_SET, _SIO_OUT_SET):
        chip.sio.write_uint32(register, 1)
    return not chip.sio.read_uint32(_SIO_IN) & 1


class SeeingSio(RPSIO):
    """A pin that is an output reads as the level it is driven to."""

    def read_uint32(self, offset: int) -> int | float:
        if offset != _SIO_IN:
            return super().read_uint32(offset)
        value = int(super().read_uint32(offset))
        gpio = self.rp2040.gpio
        driven = 0
        for number in range(len(gpio)):
            if self.gpio_output_enable >> number & 1:
                driven |= (gpio[number].function_select == FUNCTION_SIO) << number
        return value & ~driven | self.gpio_value & driven


def _see_outputs(chip: Any, _cdc: USBCDC) -> None:
    chip.sio.__class__ = SeeingSio


# -- PIO


def _pio_stands_still_in_idle_time() -> bool:
    pio: Any = Simulator().rp2040.pio[0]
    pio.write_uint32(_PIO_PROGRAM, _JUMP_X_DOWN)
    machine = pio.machines[0]
    machine.x = 100
    pio.write_uint32(_PIO_CTRL, 1)
    pio.advance(50)
    return machine.x > 60


class PacedPio:
    """One instruction of a state machine for each jump of the clock is all that rp2040py runs, so
    while one runs there are no jumps over more than that. Otherwise the block as it is."""

    def __init__(self, pio: Any, clock: Any):
        self._pio = pio
        self._alarm = clock.create_alarm(self._pace)
        self.read_uint32 = pio.read_uint32
        self.reset = pio.reset

    def write_uint32(self, offset: int, value: int) -> None:
        self._pio.write_uint32(offset, value)
        self._pace()

    def write_uint32_atomic(self, offset: int, value: int, kind: int) -> None:
        self._pio.write_uint32_atomic(offset, value, kind)
        self._pace()

    def _pace(self) -> None:
        if self._pio.stopped or self._pio.next_due_fp >= _NEVER:
            return
        running = [each.div_fp for each in self._pio.machines if each.enabled]
        if running:
            self._alarm.schedule(min(running) / _FP * _CYCLE_NS)


def _pace_pio(chip: Any, _cdc: USBCDC) -> None:
    for address, pio in zip(_PIO_ADDRESSES, chip.pio, strict=True):
        chip.peripherals[address] = PacedPio(pio, chip.clock)


# -- the ring oscillator's random bit


def _random_bit_is_always_the_same() -> bool:
    chip = RP2040()
    chip.logger = ConsoleLogger(LogLevel.ERROR)  # it warns at each
    return len({chip.read_uint32(_ROSC + _RANDOMBIT) & 1 for _ in range(64)}) == 1


class NoisyOscillator(UnimplementedPeripheral):
    """RANDOMBIT is random, and the same from run to run. A device's os.urandom is made of it."""

    def read_uint32(self, offset: int) -> int:
        return _noise.getrandbits(1) if offset == _RANDOMBIT else super().read_uint32(offset)


def _make_noise(chip: Any, _cdc: USBCDC) -> None:
    chip.find_peripheral(_ROSC).__class__ = NoisyOscillator


DEFECTS = (
    Defect(
        "console: idle transfers are answered",
        f"{USBCDC.__module__}: on_endpoint_read completes with an empty packet",
        _answers_idle_endpoint,
        _quiet_console,
    ),
    Defect(
        "UART: no wire",
        f"{RPUART.__module__}: bytes leave in no time, FR.BUSY is never set, TXINTR is a level "
        "(machine.UART of newer images hangs), the receive FIFO never overruns, one level",
        _uart_sends_in_no_time,
        _time_uarts,
    ),
    Defect(
        "flash: never busy",
        f"{RPSSI.__module__}: erase and program take no time, WIP is never set",
        _flash_is_never_busy,
        _time_flash,
    ),
    Defect(
        "pins: outputs read as low",
        f"{RPSIO.__module__}: GPIO_IN knows applied levels only, Pin.value() of an output is 0",
        _outputs_read_as_low,
        _see_outputs,
    ),
    Defect(
        "ROSC: RANDOMBIT stands still",
        f"{UnimplementedPeripheral.__module__}: every read is the same, so os.urandom is",
        _random_bit_is_always_the_same,
        _make_noise,
    ),
    Defect(
        "PIO: stands still in idle time",
        "rp2040py.peripherals.pio: one instruction for each jump of the clock to the next alarm",
        _pio_stands_still_in_idle_time,
        _pace_pio,
    ),
)
