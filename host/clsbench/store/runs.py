"""Which numbers of a series are stored, known without counting them again.

A data base tells the runs of a series once; from then on every number stored is noted here, so
that a gap is found in a time that hardly grows with the number of records. For the one process
that writes the table. Knows no tables.
"""

from bisect import bisect_right
from collections.abc import Callable

from clsbench.device.intake import Run

_BEHIND_ALL = float("inf")


class KeptRuns:
    """Runs by series. load(*name): those of one series in the data base, rising."""

    def __init__(self, load: Callable[..., list[Run]]):
        self._load = load
        self._kept: dict[tuple[str, ...], list[Run]] = {}

    def of(self, *name: str) -> list[Run]:
        """The runs of a series, rising; not to be changed."""
        runs = self._kept.get(name)
        if runs is None:
            runs = self._kept[name] = list(self._load(*name))
        return runs

    def add(self, seq: int, *name: str) -> None:
        """This number is stored now."""
        runs = self._kept.get(name)
        if runs is not None:
            add_number(runs, seq)

    def forget(self) -> None:
        """What was noted last may not have been stored."""
        self._kept.clear()


def add_number(runs: list[Run], seq: int) -> None:
    """Puts a number into rising runs; one that is in them already changes nothing."""
    after = bisect_right(runs, (seq, _BEHIND_ALL))
    first, last = runs[after - 1] if after else (seq, -1)
    if after and seq <= last:
        return
    begin = after - 1 if after and last == seq - 1 else after
    joins_next = after < len(runs) and runs[after][0] == seq + 1
    end = after + joins_next
    low = first if begin < after else seq
    high = runs[after][1] if joins_next else seq
    runs[begin:end] = [(low, high)]
