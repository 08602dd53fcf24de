"""Watchdog port: resets the chip when nobody feeds it."""

import sys

import machine

_DAY_MS = 86400000
_ENABLE = 1 << 30  # of CTRL; RP2040 datasheet 4.7.6, RP2350 datasheet 12.9
_CLEAR_RP2040 = 0x40058000 + 0x3000  # CTRL, through the alias that clears bits
_CLEAR_RP2350 = 0x400D8000 + 0x3000


class Watchdog:
    """timeout_ms in real time; at most 8388 ms on RP2040 (hardware limit)."""

    def __init__(self, timeout_ms=8000):
        self._watchdog = machine.WDT(timeout=timeout_ms)

    def feed(self):
        """To be called by the supervisor alone, and only when every task has reported."""
        self._watchdog.feed()


class NoWatchdog:
    """For work at the REPL, where a chip that resets under one's hands is no help."""

    def feed(self):
        """Does nothing."""


def stop():
    """No reset any more, whether a watchdog runs or not: for work at the REPL. MicroPython cannot
    switch one off: on RP2 its register is cleared, elsewhere it gets a day."""
    if sys.platform == "rp2":
        newer = "RP2350" in sys.implementation._machine
        register = _CLEAR_RP2350 if newer else _CLEAR_RP2040
        machine.mem32[register] = _ENABLE  # pyright: ignore - every port has it
    else:
        machine.WDT(timeout=_DAY_MS)


def reset():
    """Resets the chip; does not return."""
    machine.reset()


def reset_cause():
    """The port's own number for the cause of the last reset."""
    return machine.reset_cause()
