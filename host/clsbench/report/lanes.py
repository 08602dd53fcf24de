"""Swim lanes: the messages of one transaction between the parts of the chain, in their order.

What carries the UUID is drawn solid. The edges of the relay and the poll that gave a record its
register carry none; they are matched by their time and drawn dashed.
"""

import textwrap
from dataclasses import dataclass

from clsbench.eventlog import LANES
from clsbench.report.chart import WIDTH, colour_class
from clsbench.report.quantity import clock_text, date_text, duration_text, shortened
from clsbench.report.series import DEVICE, Series, Transaction
from clsbench.report.svg import Safe, joined, label, line, path, rect, tag, tip

MAX_ROWS = 400
_TIME = 92  # width of the column of times
_WORDS = 352  # width of the column of sentences
_NARROW = 58  # of a lane in which nothing happens
_HEAD, _ROW, _GAP = 40, 34, 26
_LINE_LETTERS = 48
_PAUSE_MS = 60_000  # a longer silence is told in a row of its own
_NEAR_MS = 5_000  # beside the device's own time bound


@dataclass(frozen=True)
class Step:
    """An event of a transaction. certain: it carries the UUID."""

    number: int
    certain: bool


def steps_of(series: Series, one: Transaction) -> list[Step]:
    """The events of a transaction in order of time, with those matched by time."""
    known = set(one.events)
    matched = (_relay_edges(series, one) | _polls(series, one)) - known
    every = [Step(number, True) for number in known]
    every += [Step(number, False) for number in matched]
    return sorted(every, key=lambda step: step.number)


def draw_lanes(series: Series, one: Transaction, sentences: list[str]) -> Safe:
    """The diagram of one transaction. sentences: by number of the event."""
    steps = steps_of(series, one)
    shown = steps[:MAX_ROWS]
    places, used = _places(series, shown)
    body, y, before = [], float(_HEAD), None
    for step in shown:
        t_ms = series.events[step.number]["t_ns"] // 1_000_000
        if before is not None and t_ms - before >= _PAUSE_MS:
            body.append(_pause(t_ms - before, y))
            y += _GAP
        body.append(_row(series, step, sentences[step.number], places, y))
        y += _ROW
        before = t_ms
    height = y + 34
    if len(steps) > len(shown):
        words = f"{len(steps) - len(shown)} more are in the table of events"
        body.append(label(_TIME, y + 18, words, class_="note"))
    return tag(
        "svg",
        tag("title", f"Messages of {one.label} {one.uuid}"),
        _lifelines(places, used, height),
        *body,
        viewBox=f"0 0 {WIDTH} {height:.0f}",
        class_=f"lanes {colour_class(one.label)}",
    )


def _relay_edges(series: Series, one: Transaction) -> set[int]:
    """Edges between the first and the last event of a transaction that was recorded."""
    if not one.recorded:
        return set()
    within = range(one.events[0], one.events[-1] + 1)
    names = ("relay.closed", "relay.opened")
    return {number for number in within if series.events[number]["name"] in names}


def _polls(series: Series, one: Transaction) -> set[int]:
    """Request and reply of the poll nearest to each of the device's readings."""
    found: set[int] = set()
    for (witness, _), reading in one.readings.items():
        if witness != DEVICE:
            continue
        replies = [
            (abs(captured - reading.t_ms), number)
            for number, event in enumerate(series.events)
            if event["name"] == "modbus.reply"
            and type(captured := event["detail"].get("captured_ms")) is int
        ]
        distance, number = min(replies, default=(_NEAR_MS + 1, 0))
        if distance <= _NEAR_MS:
            found.add(number)
            asked = (
                n for n in range(number, -1, -1) if series.events[n]["name"] == "modbus.request"
            )
            found |= {next(asked, number)}
    return found


def _places(series: Series, steps: list[Step]) -> tuple[dict[str, float], set[str]]:
    """The middle of each lane, and the lanes with something in them; the others are narrow."""
    used: set[str] = set()
    for step in steps:
        event = series.events[step.number]
        used |= {event["lane_from"], event["lane_to"]}
    names = [*LANES, *sorted(used - set(LANES))]
    room = WIDTH - _TIME - _WORDS - _NARROW * len([name for name in names if name not in used])
    wide = room / max(len([name for name in names if name in used]), 1)
    places, x = {}, float(_TIME)
    for name in names:
        width = wide if name in used else _NARROW
        places[name] = x + width / 2
        x += width
    return places, used


def _lifelines(places: dict[str, float], used: set[str], height: float) -> Safe:
    parts = []
    for name, x in places.items():
        parts.append(line(x, 26, x, height - 8, class_="life"))
        if name not in used:
            parts.append(label(x, 19, name, class_="head-unused", text_anchor="middle"))
            continue
        words = shortened(name, 14)
        width = len(words) * 7.4 + 16
        parts.append(rect(x - width / 2, 4, width, 22, rx=4, class_="head"))
        parts.append(label(x, 19, words, class_="head-name", text_anchor="middle"))
    parts.append(label(4, 19, "UTC", class_="tick"))
    return joined(parts)


def _row(series: Series, step: Step, sentence: str, places: dict[str, float], y: float) -> Safe:
    event = series.events[step.number]
    t_ms = event["t_ns"] // 1_000_000
    kind = event["kind"] if event["kind"] in ("record", "state", "fault", "check") else "message"
    classes = f"row tip {kind}{'' if event['ok'] else ' bad'}{'' if step.certain else ' guessed'}"
    middle = y + _ROW / 2
    note = "" if step.certain else "\nmatched by its time; carries no UUID"
    told = f"{event['lane_from']} → {event['lane_to']}  {event['name']}\n{sentence}{note}"
    return tag(
        "a",
        rect(0, y, WIDTH, _ROW, class_="under"),
        label(4, middle + 4, clock_text(t_ms, "ms"), class_="time"),
        _drawn(event, places, middle + 5),
        _words(("" if event["ok"] else "✗ ") + sentence, middle),
        tip(f"{date_text(t_ms)} {clock_text(t_ms, 'ms')} UTC\n{told}\nSelect it for the details."),
        href=f"#e{step.number}",
        class_=classes,
        data_e=step.number,
    )


def _drawn(event: dict, places: dict[str, float], y: float) -> Safe:
    start, end = places[event["lane_from"]], places[event["lane_to"]]
    name = shortened(event["name"], 26)
    if start == end:
        mark = (
            rect(start - 5, y - 10, 10, 10, class_="node")
            if event["kind"] == "record"
            else tag("circle", cx=start, cy=y - 5, r=5, class_="node")
        )
        return joined([mark, label(start + 11, y - 1, name, class_="name")])
    back = 1 if end < start else -1
    head = [(end + back * 9, y - 4.5), (end, y), (end + back * 9, y + 4.5)]
    return joined(
        [
            line(start, y, end + back * 7, y, class_="arrow"),
            path(head, class_="point"),
            label((start + end) / 2, y - 6, name, class_="name", text_anchor="middle"),
        ]
    )


def _words(sentence: str, middle: float) -> Safe:
    lines = textwrap.wrap(sentence, _LINE_LETTERS) or [""]
    if len(lines) > 2:
        lines = [lines[0], shortened(lines[1] + " " + lines[2], _LINE_LETTERS - 1)]
    first = middle + 4 if len(lines) == 1 else middle - 3
    x = WIDTH - _WORDS + 12
    return joined(
        label(x, first + number * 14, words, class_="words") for number, words in enumerate(lines)
    )


def _pause(ms: int, y: float) -> Safe:
    return joined(
        [
            rect(0, y + 3, WIDTH, _GAP - 6, class_="pause"),
            label(4, y + 17, f"{duration_text(ms)} later", class_="note"),
        ]
    )
