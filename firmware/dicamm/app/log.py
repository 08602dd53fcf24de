"""The device's log: numbers in a ring, rendered as text on the host.

An entry is (mono_ms, code, argument, ...); codes stand in `dicamm.codes`. Never holds secrets.
"""

CAPACITY = 64


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _nobody(*_arguments):
    pass


nobody: "Any" = _nobody  # a listener that does not listen


class Log:
    """`listener`: called with each new entry."""

    def __init__(self, clock):
        self._clock = clock
        self._entries = []
        self.count = 0  # entries ever written, so that a reader sees what it missed
        self.listener = nobody

    def write(self, code, *arguments):
        """Adds an entry; the oldest gives way."""
        entry = (self._clock.mono_ms(), code) + arguments  # flat: half the heap of a nested one
        if len(self._entries) == CAPACITY:
            self._entries.pop(0)
        self._entries.append(entry)
        self.count += 1
        self.listener(entry)

    def entries(self):
        """The entries still held, oldest first."""
        return list(self._entries)
