"""The RS-485 driver in MicroPython, over a UART that is a model: driver enable, drain, reading."""

import os
import subprocess

from clsbench.hil.interpreter import find_micropython
from clsbench.paths import firmware_dir

MODEL = """
import time
from dicamm.drivers.rs485 import Rs485

class Pin:
    def __init__(self):
        self.levels = []
    def value(self, level):
        self.levels.append((level, time.ticks_us()))

class Uart:
    def __init__(self, baud=9600, stuck=False, counts=True, data=b""):
        self.baud, self.stuck, self.counts = baud, stuck, counts
        self.data = bytearray(data)
        self.asked = []
        self.end = None
    def write(self, data):
        self.begin = time.ticks_us()
        self.end = time.ticks_add(self.begin, len(data) * 10000000 // self.baud)
        return len(data)
    def txdone(self):
        return not self.stuck and time.ticks_diff(time.ticks_us(), self.end) >= 0
    def any(self):
        return len(self.data) if self.counts else min(len(self.data), 1)
    def readinto(self, buffer, count):
        assert 0 < count <= len(self.data), "waits for bytes that are not there"
        self.asked.append(count)
        buffer[:count] = self.data[:count]
        self.data = self.data[count:]
        return count

def send(port, data):
    port.send(data)
    slept_ms = 0
    while (wait_ms := port.sending_ms()) >= 0:
        slept_ms += wait_ms
        time.sleep_ms(wait_ms)
    return slept_ms
"""


def run(program: str) -> str:
    done = subprocess.run(
        [find_micropython(), "-c", MODEL + program],
        env={**os.environ, "MICROPYPATH": f"{firmware_dir()}:.frozen"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_driver_is_on_before_the_first_and_off_after_the_last_bit():
    run(
        """
pin, uart = Pin(), Uart()
port = Rs485(uart, 9600, drive_enable=pin)
for _ in range(5):
    pin.levels.clear()
    send(port, bytes(8))
    (on, on_us), (off, off_us) = pin.levels
    assert on == 1 and time.ticks_diff(uart.begin, on_us) >= 0
    assert off == 0 and time.ticks_diff(off_us, uart.end) >= 0
"""
    )


def test_driver_goes_off_even_when_the_uart_never_says_that_it_has_sent():
    run(
        """
pin = Pin()
send(Rs485(Uart(stuck=True), 115200, drive_enable=pin), bytes(8))
assert [level for level, _ in pin.levels] == [1, 0]
"""
    )


TIMER = """
class Timer:
    ONE_SHOT = 0

    def init(self, mode, period, tick_hz, callback):
        self.due = time.ticks_add(time.ticks_us(), period * 1000000 // tick_hz)
        self.callback = callback

timer, pin, uart = Timer(), Pin(), Uart()
port = Rs485(uart, 9600, drive_enable=pin, timer=timer)
port.send(bytes(8))
"""


def test_a_timer_switches_the_driver_off_in_time_whatever_the_owner_of_the_bus_does():
    run(
        TIMER
        + """
assert port.sending_ms() > 0
while time.ticks_diff(timer.due, time.ticks_us()) > 0:
    pass
timer.callback(timer)
(on, on_us), (off, off_us) = pin.levels
assert off == 0 and time.ticks_diff(off_us, uart.end) >= 0
assert port.sending_ms() == -1 and len(pin.levels) == 2
"""
    )


def test_a_timer_that_fails_leaves_the_driver_on_for_two_milliseconds_at_most():
    run(
        TIMER
        + """
while (wait_ms := port.sending_ms()) >= 0:
    assert wait_ms > 0
    time.sleep_ms(wait_ms)
assert pin.levels[-1][0] == 0
assert time.ticks_diff(pin.levels[-1][1], uart.end) < 20000  # of a machine that may be late
"""
    )


def test_a_sending_is_slept_through_but_for_its_last_millisecond():
    # of 1042 ms; what is not slept is waited out awake, more of it where the machine is late
    slept_ms = run("print(send(Rs485(Uart(960), 960, drive_enable=Pin()), bytes(100)))")
    assert 500 <= int(slept_ms) <= 1042


def test_without_a_driver_pin_the_drain_is_waited_for():
    run(
        """
uart = Uart()
send(Rs485(uart, 9600), bytes(8))
assert uart.txdone()
"""
    )


def test_reading_asks_for_no_more_than_has_come():
    run(
        """
for counts in (True, False):
    uart = Uart(counts=counts, data=bytes(range(40)))
    port = Rs485(uart, 9600)
    buffer = bytearray(64)
    assert port.receive(buffer) == 40 and buffer[:40] == bytes(range(40))
    assert port.receive(buffer) == 0
    uart.data = bytearray(b"x")
    assert port.receive(buffer) == 1 and buffer[:1] == b"x"
"""
    )


def test_more_than_the_buffer_holds_stays_for_the_next_time():
    run(
        """
for counts in (True, False):
    port = Rs485(Uart(counts=counts, data=bytes(range(10))), 9600)
    buffer = bytearray(4)
    assert [port.receive(buffer) for _ in range(4)] == [4, 4, 2, 0]
"""
    )
