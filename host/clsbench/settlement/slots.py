"""A quarter hour of one direction and its parts, as results hold them."""

from dataclasses import dataclass

MISSING, SETTLED, FAULTY = "missing", "settled", "faulty"


@dataclass(frozen=True, slots=True)
class Part:
    """Energy of one group in one quarter hour. uuid: the transaction it belongs to, or None."""

    group: str
    uuid: str | None
    energy: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One quarter hour, named by its begin. total: None while missing; the parts add up to it."""

    start_ms: int
    direction: str
    state: str = MISSING
    quality: str = "none"
    total: int | None = None
    parts: tuple[Part, ...] = ()

    def groups(self) -> dict[str, int]:
        """Energy of each group."""
        sums: dict[str, int] = {}
        for part in self.parts:
            sums[part.group] = sums.get(part.group, 0) + part.energy
        return sums
