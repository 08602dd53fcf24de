"""What was going on at each instant: nothing, one transaction, or nobody knows."""

from bisect import bisect_left, bisect_right

from clsbench.settlement.transactions import EARLIEST, LATEST, History

REST = ""  # no transaction open
UNKNOWN = "\0"  # no UUID has this form


class Timeline:
    """The states of a metering point, from the beginning to the end of time."""

    def __init__(self, history: History):
        changes: list[tuple[int, int, str]] = []
        for one in history.transactions.values():
            if (one.begin or one.open_at_start) and one.to_ms > one.from_ms:
                changes += [(one.from_ms, 1, one.uuid), (one.to_ms, -1, one.uuid)]
        for low, high in history.unknown:
            if high > low:
                changes += [(low, 1, UNKNOWN), (high, -1, UNKNOWN)]
        changes.sort(key=lambda change: change[0])
        self._starts = [EARLIEST - 1]
        self._states = [REST]
        active: dict[str, int] = {}
        for at_ms, step, name in changes:
            active[name] = active.get(name, 0) + step
            if not active[name]:
                del active[name]
            self._enter(at_ms, _state(active))

    def over(self, from_ms: int, to_ms: int) -> str:
        """The state throughout [from, to): REST, a UUID, or UNKNOWN, also when it changes."""
        if to_ms <= from_ms:
            return UNKNOWN
        first = bisect_right(self._starts, from_ms) - 1
        last = bisect_left(self._starts, to_ms) - 1
        return self._states[first] if first == last else UNKNOWN

    def at(self, at_ms: int) -> str:
        """The state at an instant; UNKNOWN where it changes there."""
        first, last = bisect_left(self._starts, at_ms), bisect_right(self._starts, at_ms)
        return self._states[first - 1] if first == last else UNKNOWN

    def stretches(self) -> list[tuple[int, int, str]]:
        """(from, to, state) of all that is not REST."""
        ends = [*self._starts[1:], LATEST]
        found = zip(self._starts, ends, self._states, strict=True)
        return [each for each in found if each[2] != REST]

    def changes(self) -> tuple[list[int], list[str]]:
        """Instants from which on each state holds; the first lies before all others."""
        return self._starts, self._states

    def _enter(self, at_ms: int, state: str) -> None:
        if self._starts[-1] == at_ms:
            self._starts.pop()
            self._states.pop()
        if not self._states or self._states[-1] != state:
            self._starts.append(at_ms)
            self._states.append(state)


def _state(active: dict[str, int]) -> str:
    if not active:
        return REST
    return next(iter(active)) if len(active) == 1 and UNKNOWN not in active else UNKNOWN
