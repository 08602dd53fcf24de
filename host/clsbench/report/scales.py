"""Axes: from values to places in a drawing, and round numbers to label. Pure arithmetic."""

from dataclasses import dataclass

_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000
_STEPS_MS = (
    *(n * _SECOND for n in (1, 5, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 30, 90, 365)),
)


@dataclass(frozen=True)
class TimeScale:
    """Bench time along a drawing; times outside are held at its edges."""

    from_ms: int
    to_ms: int
    left: float
    width: float

    @classmethod
    def around(cls, span_ms: tuple[int, int], left: float, width: float) -> "TimeScale":
        """A scale that shows `span_ms` with a little air on both sides."""
        first, last = span_ms
        air = max((last - first) // 60, 500)
        return cls(first - air, last + air, left, width)

    def x(self, t_ms: int) -> float:
        """Place of an instant."""
        held = min(max(t_ms, self.from_ms), self.to_ms)
        return self.left + (held - self.from_ms) * self.width / (self.to_ms - self.from_ms)

    def ticks(self, most: int = 14) -> tuple[list[int], int]:
        """Round instants to label and their distance."""
        span = self.to_ms - self.from_ms
        step = next((s for s in _STEPS_MS if span // s < most), span // most)
        first = -(-self.from_ms // step) * step
        return list(range(first, self.to_ms + 1, step)), step


@dataclass(frozen=True)
class ValueScale:
    """Values from 0 (at `bottom`) upwards over `height`; ticks every step * 10**power."""

    top: float
    bottom: float
    height: float
    step: int
    power: int

    @classmethod
    def up_to(cls, highest: float, bottom: float, height: float, most: int = 5) -> "ValueScale":
        """A scale that holds `highest` and has at most about `most` ticks."""
        highest = highest if highest > 0 else 1.0
        power = 0
        while 10.0**power * 5 * most < highest:
            power += 1
        while 10.0 ** (power - 1) * 5 * most >= highest:
            power -= 1
        step = next((s for s in (1, 2, 5) if s * 10.0**power * most >= highest), 5)
        return cls(highest * 1.08, bottom, height, step, power)

    def y(self, value: float) -> float:
        """Place of a value."""
        return self.bottom - max(value, 0.0) / self.top * self.height

    def ticks(self) -> list[int]:
        """Multiples of 10**power to label, from 0."""
        unit = 10.0**self.power
        return [n for n in range(0, 10 * self.step + 1, self.step) if n * unit <= self.top]
