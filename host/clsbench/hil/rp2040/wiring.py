"""What is wired to the chip's pins: an observer on outputs, levels on inputs."""

from collections.abc import Callable, Sequence
from typing import Any

from rp2040py.gpio_pin import GPIOPinState

from clsbench.hil.board import Edge, level


class Pins:
    """Edges of all outputs since it was made; levels that the bench applies to inputs.

    now_s: function that gives the board's time. A pin that nobody drives counts as low.
    """

    def __init__(self, now_s: Callable[[], float]):
        self._now_s = now_s
        self._edges: dict[int, list[Edge]] = {}
        self._applied: dict[int, int] = {}
        self._mcu: Any = None

    def attach(self, mcu: Any) -> None:
        """A fresh life of the chip."""
        self._mcu = mcu
        for number, pin in enumerate(mcu.gpio):
            pin.add_listener(self._observer(number))
        for number, applied in self._applied.items():
            mcu.gpio[number].set_input_value(bool(applied))

    def detach(self) -> None:
        """The supply is off."""
        self._mcu = None

    def fall(self) -> None:
        """The chip drives nothing any more."""
        for number in self._edges:
            self._note(number, 0)

    def edges(self, number: int) -> Sequence[Edge]:
        """Every change of a pin, oldest first."""
        return tuple(self._edges.get(number, ()))

    def level(self, number: int) -> int:
        """What the pin is driven to now."""
        return level(self._edges.get(number, ()))

    def drive(self, number: int, applied: int) -> None:
        """Applies a level to an input, for good."""
        self._applied[number] = 1 if applied else 0
        if self._mcu is not None:
            self._mcu.gpio[number].set_input_value(bool(applied))

    def _observer(self, number: int) -> Callable[[GPIOPinState, GPIOPinState], None]:
        def observe(new: GPIOPinState, _old: GPIOPinState) -> None:
            self._note(number, 1 if new == GPIOPinState.HIGH else 0)

        return observe

    def _note(self, number: int, now: int) -> None:
        edges = self._edges.setdefault(number, [])
        if level(edges) != now:
            edges.append((self._now_s(), now))
