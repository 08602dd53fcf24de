"""The Pico's RS-485 line: driver-enable around a frame, and what 32 bytes of FIFO bear.

Runs the drivers alone, without the application.
"""

from pathlib import Path

import pytest
from rp2040_kit import ENABLE, UF2, compiled, frames, high_times, needs_image

from clsbench.hil.rp2040.board import Rp2040Board

SILENCE_S = {9600: 3.5 * 10 / 9600, 115200: 0.00175}  # Modbus over serial line 1.02, 2.5.1.1
REQUEST = bytes(range(1, 9))
SETUP = """
import gc, machine, rp2, time
from dicamm.drivers.pulse import Pulse
from dicamm.drivers.rs485 import Rs485
uart = machine.UART(0, {baud}, tx=machine.Pin(0), rx=machine.Pin(1), timeout=0)
line = Rs485(uart, {baud}, timer=Pulse(machine.Pin({enable})))
flash = rp2.Flash(start=300 * 4096, len=4 * 4096)
buffer = bytearray(256)
def take(ms):
    got = b""
    end = time.ticks_add(time.ticks_ms(), ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        count = line.receive(buffer)
        got += bytes(buffer[:count])
    return got
def ask(busy, ms=15):
    line.send({request!r})
    if busy:
        busy()
    while (wait := line.sending_ms()) >= 0:
        time.sleep_ms(wait)
    return take(ms)
"""

pytestmark = [needs_image, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def pico(tmp_path_factory):
    board = Rp2040Board(tmp_path_factory.mktemp("pico"), Path(UF2))
    drivers = ("dicamm.drivers.__init__", "dicamm.drivers.pulse", "dicamm.drivers.rs485")
    board.start(compiled("dicamm.__init__", *drivers))
    yield board
    board.close()


def prepare(pico, baud):
    wire = pico.uart(0, baud)
    wire.connect(None)
    pico.repl(SETUP.format(baud=baud, enable=ENABLE, request=REQUEST))
    wire.trace.clear()
    wire.unsent = wire.unheard = 0
    return wire


@pytest.mark.parametrize("baud", SILENCE_S)
def test_driver_is_on_before_the_first_start_bit_and_off_before_an_answer_may_begin(pico, baud):
    wire = prepare(pico, baud)
    heard = []
    wire.connect(lambda frame: heard.append(frame) or [(SILENCE_S[baud], b"answer")])
    before = len(high_times(pico.pin(ENABLE)))
    pico.repl("print([ask(busy) for busy in (None, gc.collect, None)])")
    assert heard == [REQUEST] * 3
    assert (wire.unsent, wire.unheard) == (0, 0)
    spans = high_times(pico.pin(ENABLE))[before:]
    assert len(spans) == 3
    for (on_s, off_s), (begin_s, end_s, answer_s) in zip(spans, frames(wire.trace), strict=True):
        assert on_s <= begin_s, "on with the first start bit"
        assert end_s <= off_s <= answer_s, "off after the last stop bit, before the answer"


def test_the_answer_comes_whole_through_a_collection_of_garbage(pico):
    wire = prepare(pico, 9600)
    answer = bytes(range(100, 130))
    wire.connect(lambda _: [(SILENCE_S[9600], answer)])
    assert pico.repl(f"print(ask(gc.collect, 45) == {answer!r})").strip() == "True"


def test_an_erase_bears_32_bytes_and_loses_those_behind(pico):
    """What the permit of the bus owner is for; and the emulated FIFO is as deep as the chip's."""
    wire = prepare(pico, 115200)
    uart = pico.chip.mcu.uart[0]
    for size, kept in ((30, 30), (60, 32)):
        uart.lost = 0
        wire.connect(lambda _, size=size: [(0.005, bytes(range(size)))])
        printed = pico.repl(
            "line.send(b'x')\n"
            "while line.sending_ms() >= 0:\n    pass\n"
            "time.sleep_ms(3)\n"
            "flash.ioctl(6, 0)\n"
            "print(len(take(20)))"
        )
        assert (int(printed), uart.lost) == (kept, size - kept)


def test_an_erase_takes_what_the_chip_takes(pico):
    prepare(pico, 9600)
    printed = pico.repl(
        "begin = time.ticks_us()\n"
        "flash.ioctl(6, 1)\n"
        "print(time.ticks_diff(time.ticks_us(), begin))"
    )
    assert 45000 <= int(printed) < 60000  # W25Q16JV: 45 ms
