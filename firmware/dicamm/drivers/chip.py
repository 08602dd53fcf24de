"""The ports of a board with a chip, built from the numbers that its board.py states.

Knows `machine` as every port of MicroPython has it; which pin is what is the board's.
"""

import machine

from dicamm.drivers.clock import Clock
from dicamm.drivers.console import Console
from dicamm.drivers.led import Led
from dicamm.drivers.relay import Relay
from dicamm.drivers.rs485 import Rs485
from dicamm.drivers.watchdog import Watchdog

_WATCHDOG_MS = 8000
_BITS = 10  # of a character: start, eight, stop


class Ports:
    """What the application gets: see `build`."""

    def __init__(self, bus, relay, tamper, power_fail, led, flash):
        self.clock = Clock()
        self.bus = bus
        self.relay = relay
        self.tamper = tamper
        self.power_fail = power_fail
        self.led = led
        self.flash = flash
        self.watchdog = Watchdog(_WATCHDOG_MS)
        self.console = Console()
        self.reset_cause = machine.reset_cause()


def build(settings, flash, relay, read_back, inputs, led, bus, enable, receive_chars, timer=None):
    """Called once. flash: the record region. relay, read_back, enable: pin numbers, None where
    nothing is connected (not the relay's); inputs: those of tamper and power-fail; led: a pin's
    number or name, or None; bus: number of the UART, its tx and rx pin. receive_chars, timer:
    see `drivers.rs485`."""
    pin = machine.Pin
    load = Relay(pin(relay, pin.OUT, value=0), read_back=_input(read_back))  # first: safe
    number, tx, rx = bus
    uart = machine.UART(
        number,
        settings.baud,
        bits=8,
        parity=None,
        stop=1,
        tx=pin(tx),
        rx=pin(rx),
        timeout=0,
    )
    line = Rs485(
        uart,
        settings.baud,
        bits_per_char=_BITS,
        drive_enable=None if enable is None else pin(enable, pin.OUT, value=0),
        receive_lag_us=receive_chars * _BITS * 1000000 // settings.baud + 1000,
        timer=timer,
    )
    light = Led(None if led is None else pin(led, pin.OUT))
    return Ports(line, load, _input(inputs[0]), _input(inputs[1]), light, flash)


def _input(number):
    """The function that tells whether a pin is high; None where nothing is connected."""
    if number is None:
        return None
    return machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_DOWN).value
