"""Sets of intervals on the axis of the register: size, intersection, difference."""

from datetime import datetime
from fractions import Fraction

Interval = tuple[Fraction, Fraction]


def size(intervals: list[Interval]) -> Fraction:
    total, edge = Fraction(0), None
    for start, stop in sorted(intervals):
        start = start if edge is None else max(start, edge)
        if stop > start:
            total += stop - start
            edge = stop
    return total


def both(one: list[Interval], two: list[Interval]) -> list[Interval]:
    found = [(max(a, c), min(b, d)) for a, b in one for c, d in two]
    return [each for each in found if each[0] < each[1]]


def without(intervals: list[Interval], holes: list[Interval]) -> list[Interval]:
    result = list(intervals)
    for low, high in holes:
        cut = []
        for start, stop in result:
            cut += [(start, min(stop, low)), (max(start, high), stop)]
        result = [each for each in cut if each[0] < each[1]]
    return result


def wide(cuts: list, low: tuple, high: tuple, start: datetime, stop: datetime) -> list[Interval]:
    """All the register that a stretch may have run over in this quarter hour."""
    start, stop = max(start, low[0]), min(stop, high[0])
    if start >= stop:
        return []
    lower = max(value for at, value in cuts if at <= start)
    upper = min(value for at, value in cuts if at >= stop)
    return [(lower, upper)] if lower < upper else []


def narrow(cuts: list, low: tuple, high: tuple, start: datetime, stop: datetime) -> list[Interval]:
    """The register that a stretch surely ran over."""
    start, stop = max(start, low[0]), min(stop, high[0])
    if start >= stop:
        return []
    lower = min(value for at, value in cuts if at >= start)
    upper = max(value for at, value in cuts if at <= stop)
    return [(lower, upper)] if lower < upper else []
