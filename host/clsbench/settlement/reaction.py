"""Did the plant do what it was told? Judged from the registers around each command.

The mean power between known registers before and after the command is compared; the register must
have moved by more than its own resolution to say anything. Integers only.
"""

from dataclasses import dataclass

from clsbench.settlement.model import BEGIN, Event
from clsbench.settlement.sections import Book, Settled

OBEYED, LATE, NOT, UNKNOWN = "obeyed", "obeyed_late", "did_not", "cannot_be_told"
HOUR_MS = 3_600_000
MIN_SPAN_MS = 60_000  # a shorter stretch says nothing about a mean


@dataclass(frozen=True, slots=True)
class Reaction:
    """Mean powers in W, cut; None where no two registers tell. late_ms: event to command."""

    uuid: str
    kind: str
    at_ms: int
    verdict: str
    before_w: int | None
    after_w: int | None
    late_ms: int | None
    why: str


def reactions(
    settled: Settled,
    *,
    expected_w: int,
    commands: dict[tuple[str, str], int] | None = None,
    late_after_ms: int = 5_000,
) -> list[Reaction]:
    """One for each begin and end record, in order.

    expected_w: by how much power should have changed at least, taken as half of it; commands:
    (uuid, action) -> when it was given; late_after_ms: more than this behind it is late.
    """
    found = []
    switching = settled.history.switching
    for at_ms, event in switching:
        book = settled.books[0] if settled.books else None
        given_ms = (commands or {}).get((event.uuid or "", event.kind))
        found.append(_judge(event, at_ms, book, expected_w, given_ms, late_after_ms))
    return found


def _judge(
    event: Event,
    at_ms: int,
    book: Book | None,
    expected_w: int,
    given_ms: int | None,
    late_after_ms: int,
) -> Reaction:
    late_ms = None if given_ms is None else at_ms - given_ms
    uuid = event.uuid or ""

    def verdict(word: str, why: str, powers: tuple[int | None, int | None]) -> Reaction:
        return Reaction(uuid, event.kind, at_ms, word, *powers, late_ms, why)

    if not event.time_valid:
        return verdict(UNKNOWN, "the record has no legal time", (None, None))
    powers = (None, None) if book is None else _powers(book, at_ms)
    before, after = powers
    if before is None or after is None:
        return verdict(UNKNOWN, "no two registers within reach before or after it", powers)
    rise = after - before if event.kind == BEGIN else before - after
    if 2 * rise < expected_w:
        return verdict(NOT, f"mean power went from {before} W to {after} W", powers)
    if late_ms is not None and late_ms > late_after_ms:
        return verdict(LATE, f"{late_ms} ms behind the command", powers)
    return verdict(OBEYED, f"mean power went from {before} W to {after} W", powers)


def _powers(book: Book, at_ms: int) -> tuple[int | None, int | None]:
    """Mean power of the sections that end and begin at an instant."""
    before = after = None
    for sections in book.sections:
        for section in sections:
            span_ms = section.to_ms - section.from_ms
            if span_ms < MIN_SPAN_MS:
                continue
            power = _watts(section.energy, span_ms, book)
            if section.to_ms == at_ms:
                before = power
            if section.from_ms == at_ms:
                after = power
    return before, after


def _watts(energy: int, span_ms: int, book: Book) -> int:
    scaler = book.unit_scaler
    if scaler >= 0:
        return energy * 10**scaler * HOUR_MS // span_ms
    return energy * HOUR_MS // (span_ms * 10**-scaler)
