"""Watchdog port: resets the chip when nobody feeds it."""

import machine


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


def reset():
    """Resets the chip; does not return."""
    machine.reset()


def reset_cause():
    """The port's own number for the cause of the last reset."""
    return machine.reset_cause()
