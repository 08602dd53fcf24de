"""The report's settlement: sections of each transaction, groups of each quarter hour, and beside
them what sharing by time would have booked.

Draws what the result document says under `settlement`; a document of another form is passed over.
"""

from dataclasses import dataclass
from typing import Any

from clsbench.report.chart import WIDTH, colour_class
from clsbench.report.quantity import MAX_MS, Energy, clock_text, decimal_text
from clsbench.report.scales import TimeScale, ValueScale
from clsbench.report.series import Series
from clsbench.report.svg import Safe, joined, label, line, rect, tag, tip

WITNESSES = (("gateway", "Gateway (base meter)"), ("device", "Device (MID meter)"))
MAX_SLOTS = 200  # of each direction
_LEFT, _RIGHT, _TOP, _HEIGHT = 78, 18, 26, 170
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Section:
    """Energy between two registers; uuid None: rest, or doubtful."""

    from_ms: int
    to_ms: int
    start: Energy
    end: Energy
    uuid: str | None
    doubtful: bool

    @property
    def energy(self) -> Energy:
        return self.end - self.start

    def drawn_w(self) -> float:
        """Mean power, for the drawing only."""
        return self.energy.drawn_wh() * _HOUR_MS / max(self.to_ms - self.from_ms, 1)


@dataclass(frozen=True)
class Slot:
    """A quarter hour; total None: missing. groups, by_time: group -> energy."""

    from_ms: int
    to_ms: int
    state: str
    total: Energy | None
    groups: dict[str, Energy]
    by_time: dict[str, Energy]
    sections: list[Section]


def settlement_section(series: Series, document: dict[str, Any]) -> Safe:
    """Everything the document tells, witness by witness; a sentence where it tells nothing."""
    told = document.get("settlement")
    parts = []
    for key, title in WITNESSES:
        one = told.get(key) if isinstance(told, dict) else None
        if isinstance(one, dict) and isinstance(one.get("error"), str):
            parts += [tag("h3", title), tag("p", f"Not settled: {one['error']}", class_="empty")]
        elif isinstance(one, dict):
            try:
                parts.append(_witness(series, title, one))
            except (
                AttributeError,
                KeyError,
                TypeError,
                ValueError,
            ):  # not the form that the demo writes
                continue
    if not parts:
        return tag("p", "No settlement in the result document.", class_="empty")
    return joined(parts)


def _witness(series: Series, title: str, one: dict[str, Any]) -> Safe:
    scaler = _integer(one["unit_scaler"], 18)
    parts = [tag("h3", title)]
    for direction in one["directions"]:
        slots = [_slot(each, scaler) for each in direction["slots"][:MAX_SLOTS]]
        wrong = Energy(_integer(direction["elsewhere_by_time"]), scaler)
        taken = Energy(_integer(direction["of_transactions"]), scaler)
        name = str(direction["direction"])
        if slots:
            parts.append(tag("p", _said(name, wrong, taken), class_="note"))
            parts += [_drawing(series, name, slots), _groups(slots), _cuts(series, slots)]
    for finding in one["findings"]:
        parts.append(tag("p", f"Doubt {finding['code']}: {finding['text']}.", class_="note"))
    return tag("div", *parts, class_="settlement")


def _said(direction: str, wrong: Energy, taken: Energy) -> str:
    if taken.raw <= 0:
        return f"{direction}: no transaction took energy"
    share = decimal_text(wrong.raw * 1000 // taken.raw, -1)
    return (
        f"{direction}: transactions took {taken.kwh()}; shared by time, {wrong.kwh()} would be "
        f"booked in another group, {share} % of it"
    )


def _slot(each: dict[str, Any], scaler: int) -> Slot:
    total = each["total"]
    from_ms, to_ms = _integer(each["from_ms"], MAX_MS), _integer(each["to_ms"], MAX_MS)
    if from_ms >= to_ms:
        raise ValueError(f"a quarter hour from {from_ms} to {to_ms}")
    return Slot(
        from_ms,
        to_ms,
        str(each["state"]),
        None if total is None else Energy(_integer(total), scaler),
        _energies(each["groups"], scaler),
        _energies(each["by_time"], scaler),
        [
            Section(
                _integer(section["from_ms"], MAX_MS),
                _integer(section["to_ms"], MAX_MS),
                Energy(_integer(section["from"]), scaler),
                Energy(_integer(section["to"]), scaler),
                None if section["uuid"] is None else str(section["uuid"]),
                section["doubtful"] is True,
            )
            for section in each["sections"]
        ],
    )


def _energies(found: dict[str, Any], scaler: int) -> dict[str, Energy]:
    return {str(group): Energy(_integer(raw), scaler) for group, raw in found.items()}


def _integer(value: object, most: int = 10**18) -> int:
    if type(value) is not int or abs(value) > most:
        raise ValueError(f"no integer of a settlement: {value!r}")
    return value


def _drawing(series: Series, direction: str, slots: list[Slot]) -> Safe:
    """Mean power of each section, its area its energy; dashed: what sharing by time takes."""
    time = TimeScale.around((slots[0].from_ms, slots[-1].to_ms), _LEFT, WIDTH - _LEFT - _RIGHT)
    powers = [section.drawn_w() for slot in slots for section in slot.sections]
    scale = ValueScale.up_to(max(powers, default=0.0), _TOP + _HEIGHT, _HEIGHT)
    base = _TOP + _HEIGHT
    parts = [label(_LEFT, 14, f"{direction}: mean power of each section, W", class_="panel")]
    for tick in scale.ticks():
        y = scale.y(tick * 10.0**scale.power)
        words = decimal_text(tick, scale.power)
        parts.append(line(_LEFT, y, WIDTH - _RIGHT, y, class_="grid"))
        parts.append(label(_LEFT - 8, y + 4, words, class_="tick", text_anchor="end"))
    for slot in slots:
        left, right = time.x(slot.from_ms), time.x(slot.to_ms)
        parts.append(line(left, _TOP, left, base + 5, class_="grid"))
        words = clock_text(slot.from_ms, "m")
        parts.append(label(left, base + 20, words, class_="tick", text_anchor="middle"))
        parts += [_area(series, section, time, scale) for section in slot.sections]
        if slot.total is not None:
            even = scale.y(slot.total.drawn_wh() * _HOUR_MS / max(slot.to_ms - slot.from_ms, 1))
            parts.append(line(left, even, right, even, class_="even"))
        else:
            parts.append(label((left + right) / 2, base - 8, "missing", text_anchor="middle"))
    parts.append(line(_LEFT, base, WIDTH - _RIGHT, base, class_="axis"))
    return tag(
        "svg",
        tag("title", f"{direction}: sections of each quarter hour"),
        *parts,
        viewBox=f"0 0 {WIDTH} {base + 28}",
        class_="chart",
        role="img",
    )


def _area(series: Series, section: Section, time: TimeScale, scale: ValueScale) -> Safe:
    left, right = time.x(section.from_ms), time.x(section.to_ms)
    top = scale.y(section.drawn_w())
    told = (
        f"{_owner(series, section)}\n{clock_text(section.from_ms)} to "
        f"{clock_text(section.to_ms)} UTC\n{section.energy.kwh()}"
    )
    return tag(
        "g",
        rect(left, top, right - left, scale.bottom - top, tip(told), class_="share"),
        class_=_class(series, section),
    )


def _class(series: Series, section: Section) -> str:
    if section.doubtful:
        return "doubtful"
    return "rest" if section.uuid is None else colour_class(series.label(section.uuid))


def _owner(series: Series, section: Section) -> str:
    if section.doubtful:
        return "doubtful: goes to the delta group"
    return "rest" if section.uuid is None else f"{series.label(section.uuid)} {section.uuid}"


def _groups(slots: list[Slot]) -> Safe:
    names = sorted({name for slot in slots for name in (*slot.groups, *slot.by_time)})
    heads = [tag("th", "Quarter hour, UTC", scope="col")]
    heads += [tag("th", name, scope="col") for name in (*names, "all")]
    rows = []
    sums: dict[str, tuple[Energy, Energy]] = {}
    for slot in slots:
        span = f"{clock_text(slot.from_ms, 'm')} to {clock_text(slot.to_ms, 'm')}"
        cells = [tag("td", span, *([tag("small", slot.state)] if slot.state != "settled" else []))]
        zero = Energy(0, slot.total.scaler if slot.total else 0)
        for name in names:
            one, two = slot.groups.get(name, zero), slot.by_time.get(name, zero)
            before = sums.get(name, (zero, zero))
            sums[name] = (before[0] + one, before[1] + two)
            cells.append(_pair(one, two))
        cells.append(tag("td", slot.total.kwh() if slot.total else "-", class_="number"))
        rows.append(tag("tr", *cells))
    whole = sum((slot.total for slot in slots if slot.total), Energy(0, 0))
    last = [tag("td", "together"), *(_pair(*sums[name]) for name in names)]
    rows.append(tag("tr", *last, tag("td", whole.kwh(), class_="number")))
    caption = tag("caption", "Groups: measured; below it, where it differs, shared by time")
    body = (tag("thead", tag("tr", *heads)), tag("tbody", *rows))
    return tag("table", caption, *body, class_="quarters groups")


def _pair(one: Energy, two: Energy) -> Safe:
    shown = one.kwh() if one.raw else "-"
    same = (one - two).raw == 0
    return tag(
        "td", shown, *([] if same else [tag("small", f"by time {two.kwh()}")]), class_="number"
    )


def _cuts(series: Series, slots: list[Slot]) -> Safe:
    """Every transaction's sections: registers at both ends, and the sum."""
    found: dict[str, list[Section]] = {}
    for slot in slots:
        for section in slot.sections:
            if section.uuid is not None:
                found.setdefault(section.uuid, []).append(section)
    return joined(_one_cut(series, uuid, sections) for uuid, sections in found.items())


def _one_cut(series: Series, uuid: str, sections: list[Section]) -> Safe:
    titles = ("From, UTC", "To, UTC", "Register", "Register", "Energy")
    rows = [
        tag(
            "tr",
            tag("td", clock_text(section.from_ms, "ms")),
            tag("td", clock_text(section.to_ms, "ms")),
            *(
                tag("td", energy.kwh(), class_="number")
                for energy in (section.start, section.end, section.energy)
            ),
        )
        for section in sections
    ]
    whole = sum((section.energy for section in sections), Energy(0, sections[0].start.scaler))
    chip = tag("span", series.label(uuid), class_=f"chip {colour_class(series.label(uuid))}")
    said = f" {len(sections)} sections, {whole.kwh()} "
    head = tag("thead", tag("tr", *(tag("th", title, scope="col") for title in titles)))
    table = tag("table", head, tag("tbody", *rows), class_="cuts")
    return tag("details", tag("summary", chip, said, tag("code", uuid)), table)
