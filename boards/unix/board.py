"""The unix board: MicroPython's unix port as a process, its pins and buses brought by the bench.

Knows which pin is what; everything else is the same as on a chip.
"""

import os

import machine
import norflash

from dicamm.drivers.clock import Clock
from dicamm.drivers.console import Console
from dicamm.drivers.flash import Storage
from dicamm.drivers.led import Led
from dicamm.drivers.relay import Relay
from dicamm.drivers.rs485 import Rs485
from dicamm.drivers.watchdog import Watchdog

NAME = "unix"
SETTINGS = "/"
HAS_TLS = True

PIN_RELAY = 2
PIN_TAMPER = 3  # the bench drives it high when the housing is open
PIN_POWER_FAIL = 4  # and this one, when the supply is about to fail
PIN_LED = 25
BUS_UART = 0
RECORD_SECTORS = 44  # 180 kB: a week of quarter hours and 100 events a day
SETTINGS_SECTORS = 2  # behind the records


class Ports:
    """clock, bus, relay, tamper, power_fail, led, flash, watchdog, console, reset_cause."""


def _chip():
    return norflash.NorFile(os.getenv("HIL_NOR"), RECORD_SECTORS + SETTINGS_SECTORS)


_storage = Storage(_chip, RECORD_SECTORS, SETTINGS_SECTORS)
record_flash = _storage.record_flash
settings_flash = _storage.settings_flash


def ports(settings):
    """Builds the ports; called once."""
    made = Ports()
    made.clock = _clock()
    uart = machine.UART(BUS_UART, settings.baud, bits=8, parity=None, stop=1)
    made.bus = Rs485(uart, settings.baud, bits_per_char=10)
    made.relay = Relay(machine.Pin(PIN_RELAY, machine.Pin.OUT))
    made.tamper = machine.Pin(PIN_TAMPER, machine.Pin.IN).value
    made.power_fail = machine.Pin(PIN_POWER_FAIL, machine.Pin.IN).value
    made.led = Led(machine.Pin(PIN_LED, machine.Pin.OUT))
    made.flash = record_flash()
    made.watchdog = Watchdog(8000)
    made.console = Console()
    made.reset_cause = machine.reset_cause()
    return made


def _clock():
    """As fast as the bench says, or in leaps from quarter hour to quarter hour."""
    leaps = os.getenv("HIL_LEAPS")
    if leaps:
        from leapclock import LeapClock

        return LeapClock(leaps)
    return Clock(int(os.getenv("HIL_SPEED") or 1))
