"""The text lines between a board's `machine` module and the bench, and the levels they tell.

Knows text and levels only; who is told of a change decides the board.
"""

from collections.abc import Iterator

MAX_LINE = 200


class PinLines:
    """Levels of all pins as the bench sees them, and the reader of the board's lines.

    `outputs` holds what the board drives, `inputs` what the bench applies.
    Lines that make no sense are counted in `discarded`.
    """

    def __init__(self) -> None:
        self.outputs: dict[int, int] = {}
        self.inputs: dict[int, int] = {}
        self.discarded = 0
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The lines completed by `data`: word and numbers, such as ("pin", (2, 1))."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-MAX_LINE:]
        for line in lines:
            word, *numbers = line.decode("ascii", "replace").split() or [""]
            try:
                yield word, tuple(int(number) for number in numbers)
            except ValueError:
                self.discarded += 1

    def drive(self, pin: int, level: int) -> bool:
        """Notes what the board drives; True when that is a change (or the first word of it)."""
        changed = self.outputs.get(pin) != level
        self.outputs[pin] = level
        return changed

    def drop(self) -> list[int]:
        """All outputs fall to low, as without supply; returns those that were high."""
        fallen = [pin for pin, level in self.outputs.items() if level]
        self.outputs = dict.fromkeys(self.outputs, 0)
        self._rest = b""
        return fallen

    def greeting(self) -> bytes:
        """Lines that tell a starting board the level of every pin."""
        levels = {**self.outputs, **self.inputs}
        return b"".join(pin_line(pin, level) for pin, level in sorted(levels.items()))


def pin_line(pin: int, level: int) -> bytes:
    """The bench's line for a pin it drives."""
    return b"pin %d %d\n" % (pin, level)
