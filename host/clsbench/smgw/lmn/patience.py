"""How long to leave alone a meter on a shared line that does not answer.

Knows instants only. A silent meter must not cost the others on its bus their pace.
"""

FIRST_S = 0.5
LONGEST_S = 30.0


class Patience:
    """One meter's. now: seconds of any clock that only goes forward."""

    def __init__(self) -> None:
        self._pause_s = 0.0
        self._until = float("-inf")

    def due(self, now: float) -> bool:
        """Whether the meter may be asked."""
        return now >= self._until

    def next_s(self, otherwise: float) -> float:
        """When to ask again: `otherwise`, or earlier where it is being left alone."""
        return min(otherwise, self._until) if self._pause_s else otherwise

    def failed(self, now: float) -> None:
        """It did not answer: twice as long as the last time, up to LONGEST_S."""
        self._pause_s = min(LONGEST_S, max(FIRST_S, 2 * self._pause_s))
        self._until = now + self._pause_s

    def answered(self) -> None:
        """It did."""
        self._pause_s = 0.0
