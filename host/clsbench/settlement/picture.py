"""A metering point's series with its sections, as text and as SVG.

Mean power of each section over time: its area is its energy. Knows a settled point and no screen.
"""

from html import escape

from clsbench.settlement.sections import Book, Section, Settled
from clsbench.settlement.timeline import REST, UNKNOWN
from clsbench.settlement.times import QUARTER_MS, format_ms

WIDTH, HEIGHT, MARGIN = 960, 220, 40
COLOURS = ("#1b6ca8", "#2a9d5c", "#8e5ea2", "#c77d0a", "#4b7f8c", "#a23b72")
REST_COLOUR, DOUBT_COLOUR = "#b9bec4", "#d1495b"
MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_ROWS = 200


def text_picture(settled: Settled, width: int = 48) -> str:
    """One line for each quarter hour and direction: a bar of its sections, and a legend.

    `.` rest, a letter for each transaction, `!` doubtful, `x` a quarter hour that is missing.
    """
    marks = _marks(settled)
    lines = []
    for book in settled.books:
        most = max((slot.total or 0 for slot in book.slots), default=0)
        lines.append(f"{book.direction}: a full bar is {most} x 10^{settled.point.unit_scaler} Wh")
        for slot, sections in list(zip(book.slots, book.sections, strict=True))[:MAX_ROWS]:
            bar = "x" if slot.total is None else _bar(sections, marks, most, width)
            total = "missing" if slot.total is None else str(slot.total)
            note = "" if slot.quality != "substitute" else " ~"
            lines.append(f"  {format_ms(slot.start_ms)[:16]} {total:>10} |{bar}{note}")
        if len(book.slots) > MAX_ROWS:
            lines.append(f"  and {len(book.slots) - MAX_ROWS} more")
    lines += [
        f"  {mark} {uuid} ({settled.point.groups.of(uuid)})"
        for uuid, mark in marks.items()
        if uuid not in (REST, UNKNOWN)
    ]
    lines.append(f"  . rest ({settled.point.groups.rest})  ! doubtful  x missing  ~ substitute")
    return "\n".join(lines)


def svg_picture(settled: Settled) -> str:
    """A drawing of every direction, one below the other; text inside is escaped."""
    height = (HEIGHT + MARGIN) * len(settled.books) + MARGIN
    drawn = [
        _panel(settled, book, MARGIN + index * (HEIGHT + MARGIN))
        for index, book in enumerate(settled.books)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="11">{"".join(drawn)}</svg>'
    )


def html_picture(settled: Settled, title: str) -> str:
    """The drawing as a page of its own, with a legend."""
    marks = _colours(settled)
    entries = [("rest: " + settled.point.groups.rest, REST_COLOUR), ("doubtful", DOUBT_COLOUR)]
    entries += [
        (f"{settled.point.groups.of(uuid)} {uuid}", colour)
        for uuid, colour in marks.items()
        if uuid not in (REST, UNKNOWN)
    ]
    legend = "".join(
        f'<li><span style="background:{colour}">&emsp;</span> {escape(name)}</li>'
        for name, colour in entries
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<h1>{escape(title)}</h1>{svg_picture(settled)}<ul>{legend}</ul></html>\n"
    )


def _panel(settled: Settled, book: Book, top: int) -> str:
    point = settled.point
    colours = _colours(settled)
    span = max(point.to_ms - point.from_ms, 1)
    areas = [section for sections in book.sections for section in sections]
    most = max((_power(each) for each in areas), default=0) or 1
    drawn = [
        f'<text x="{MARGIN}" y="{top - 6}">{book.direction}, mean power of each section</text>'
    ]
    for section in areas:
        left, right = (_x(at, point.from_ms, span) for at in (section.from_ms, section.to_ms))
        tall = _power(section) * HEIGHT // most
        name = f"{format_ms(section.from_ms)} to {format_ms(section.to_ms)}: {section.energy}"
        drawn.append(
            f'<rect x="{left}" y="{top + HEIGHT - tall}" width="{max(right - left, 1)}" '
            f'height="{tall}" fill="{colours[section.state]}"><title>{escape(name)}</title></rect>'
        )
    for slot in book.slots:
        left = _x(slot.start_ms, point.from_ms, span)
        if slot.total is None:
            right = _x(slot.start_ms + QUARTER_MS, point.from_ms, span)
            drawn.append(
                f'<rect x="{left}" y="{top}" width="{right - left}" height="{HEIGHT}" '
                f'fill="none" stroke="{DOUBT_COLOUR}" stroke-dasharray="4"/>'
            )
        drawn.append(
            f'<line x1="{left}" x2="{left}" y1="{top}" y2="{top + HEIGHT}" stroke="#e3e5e8"/>'
        )
    base = top + HEIGHT
    drawn.append(
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{base}" y2="{base}" stroke="#333"/>'
        f'<text x="{MARGIN}" y="{base + 14}">{format_ms(point.from_ms)}</text>'
        f'<text x="{WIDTH - MARGIN}" y="{base + 14}" text-anchor="end">{format_ms(point.to_ms)}'
        "</text>"
    )
    return "".join(drawn)


def _x(at_ms: int, from_ms: int, span: int) -> int:
    return MARGIN + (at_ms - from_ms) * (WIDTH - 2 * MARGIN) // span


def _power(section: Section) -> int:
    """Energy over time in thousandths of units an hour; only for drawing."""
    return section.energy * 3_600_000_000 // max(section.to_ms - section.from_ms, 1)


def _bar(sections: list[Section], marks: dict[str, str], most: int, width: int) -> str:
    edges, done = [0], 0
    for section in sections:
        done += section.energy
        edges.append(done * width // most if most else 0)
    return "".join(
        marks[section.state] * (high - low)
        for section, low, high in zip(sections, edges, edges[1:], strict=False)
    )


def _states(settled: Settled) -> list[str]:
    found = {s.state for book in settled.books for sections in book.sections for s in sections}
    return sorted(found - {REST, UNKNOWN})


def _marks(settled: Settled) -> dict[str, str]:
    marks = {REST: ".", UNKNOWN: "!"}
    for index, uuid in enumerate(_states(settled)):
        marks[uuid] = MARKS[index % len(MARKS)]
    return marks


def _colours(settled: Settled) -> dict[str, str]:
    colours = {REST: REST_COLOUR, UNKNOWN: DOUBT_COLOUR}
    for index, uuid in enumerate(_states(settled)):
        colours[uuid] = COLOURS[index % len(COLOURS)]
    return colours
