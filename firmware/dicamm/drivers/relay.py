"""Relay port: one output pin with a safe level.

Knows no reasons: who may close the load, and when, is decided in `control`.
"""


class Relay:
    """pin: a machine.Pin look-alike, already an output. safe_level: the level that opens the
    contact; the constructor drives it, so that the load is off from the first instant.
    read_back: function that tells whether the contact itself is closed, where that is wired."""

    def __init__(self, pin, safe_level=0, read_back=None):
        self._pin = pin
        self._safe_level = safe_level
        self.read_back = read_back
        pin.value(safe_level)

    def open(self):
        """Drives the safe level: the load is off."""
        self._pin.value(self._safe_level)

    def close(self):
        """Lets the load draw power."""
        self._pin.value(1 - self._safe_level)

    def is_closed(self):
        """What the pin is driven to."""
        return self._pin.value() != self._safe_level
