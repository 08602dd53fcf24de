"""The big chart: quarter hours, register, relay and load on one axis of bench time.

Draws what `Series` holds; every number shown is exact, only places in the drawing are rounded.
"""

from clsbench.report.quantity import (
    Energy,
    clock_text,
    date_text,
    decimal_text,
    duration_text,
    shortened,
)
from clsbench.report.scales import TimeScale, ValueScale
from clsbench.report.series import DEVICE, Quarter, Reading, Series, Transaction
from clsbench.report.svg import Safe, joined, label, line, path, rect, tag, tip

WIDTH = 1160
COLOURS = 6  # of transactions; after that they come again
_LEFT, _RIGHT = 78, 18
_BAND, _BAND_HEIGHT = 8, 24
_ENERGY = (66, 190)  # top and height of each panel
_REGISTER = (302, 140)
_RELAY = (488, 30)
_LOAD = (562, 84)
_AXIS = 646
_HEIGHT = 692
_LETTER = 7.3  # mean width of a letter in the labels, bold


def draw_chart(series: Series) -> Safe | None:
    """The chart, or None when the log holds no reading and no switching."""
    span = series.span_ms()
    if span is None:
        return None
    time = TimeScale.around(span, _LEFT, WIDTH - _LEFT - _RIGHT)
    shades, bands = _transactions(series, time)
    return tag(
        "svg",
        tag("title", "Quarter hours, register, relay and load on one axis of bench time"),
        _frames(time),
        shades,
        _energy(series, time),
        _register(series, time),
        _relay(series, time),
        _load(series, time),
        bands,
        tag("g", line(0, 0, 0, 0), label(0, 0, ""), class_="hair", id="hair"),
        viewBox=f"0 0 {WIDTH} {_HEIGHT}",
        class_="chart",
        id="chart",
        role="img",
        data_from=time.from_ms,
        data_to=time.to_ms,
        data_left=_LEFT,
        data_width=WIDTH - _LEFT - _RIGHT,
        data_top=_BAND,
        data_bottom=_AXIS,
    )


def colour_class(label_text: str) -> str:
    """The class that gives a recorded transaction (`T1`) its colour; all else is grey."""
    letter, number = label_text[:1], label_text[1:]
    return f"t{(int(number) - 1) % COLOURS}" if letter == "T" and number.isdigit() else "rest"


def _frames(time: TimeScale) -> Safe:
    ticks, step = time.ticks()
    digits = "s" if step < 60_000 else "m"
    parts = []
    for at in ticks:
        x = time.x(at)
        parts.append(line(x, _ENERGY[0], x, _AXIS, class_="grid"))
        parts.append(line(x, _AXIS, x, _AXIS + 5, class_="axis"))
        words = date_text(at)[5:] if step >= 86_400_000 else clock_text(at, digits)
        parts.append(label(x, _AXIS + 20, words, class_="tick", text_anchor="middle"))
    parts.append(line(_LEFT, _AXIS, WIDTH - _RIGHT, _AXIS, class_="axis"))
    days = sorted({date_text(time.from_ms), date_text(time.to_ms)})
    words = f"bench time, UTC, {' to '.join(days)}"
    parts.append(label(WIDTH - _RIGHT, _AXIS + 40, words, class_="note", text_anchor="end"))
    return joined(parts)


def _transactions(series: Series, time: TimeScale) -> tuple[Safe, Safe]:
    shades, bands = [], []
    for one in series.recorded:
        begin, end = _span(one, time)
        left, right = time.x(begin), time.x(end)
        colour = colour_class(one.label)
        shades.append(
            rect(left, _ENERGY[0], right - left, _AXIS - _ENERGY[0], class_=f"span {colour}")
        )
        for x in (left, right):
            shades.append(line(x, _BAND, x, _AXIS, class_=f"edge {colour}"))
        bands.append(_band(one, left, right, begin, end))
    return joined(shades), joined(bands)


def _span(one: Transaction, time: TimeScale) -> tuple[int, int]:
    begin, end = one.edge_ms("begin"), one.edge_ms("end")
    return time.from_ms if begin is None else begin, time.to_ms if end is None else end


def _band(one: Transaction, left: float, right: float, begin: int, end: int) -> Safe:
    energy = one.energy(DEVICE)
    drawn = energy.kwh() if energy else "no pair of device readings"
    name = f"{one.label} {one.text}".strip()
    words = _fitting((f"{name}, {drawn}", name, one.label), right - left - 8)
    told = f"{name}\n{one.uuid}\n{clock_text(begin)} to {clock_text(end)} UTC, "
    told += f"{duration_text(end - begin)}\n{drawn} by the device"
    return tag(
        "a",
        rect(left, _BAND, max(right - left, 3.0), _BAND_HEIGHT, rx=3, class_="band"),
        label((left + right) / 2, _BAND + 16, words, class_="band-name", text_anchor="middle"),
        tip(told),
        href=f"#lanes-{one.label}",
        class_=f"tip {colour_class(one.label)}",
        data_choose=one.label,
    )


def _fitting(choices: tuple[str, ...], width: float) -> str:
    found = (words for words in choices if len(words) * _LETTER <= width)
    return next(found, "")


def _energy(series: Series, time: TimeScale) -> Safe:
    top, height = _ENERGY
    highest = max((quarter.total.drawn_wh() for quarter in series.quarters), default=0)
    scale = ValueScale.up_to(highest, top + height, height)
    title = "Energy of each quarter hour (device, TAF7): shares of the transactions, and the rest"
    parts = [_axis(scale, top, title, "kWh", -3)]
    for quarter in series.quarters:
        parts.append(_bar(series, quarter, time, scale))
    if not series.quarters:
        parts.append(_nothing(top, height, "fewer than two quarter-hour readings in the log"))
    return joined(parts)


def _bar(series: Series, quarter: Quarter, time: TimeScale, scale: ValueScale) -> Safe:
    left, right = time.x(quarter.from_ms) + 1.5, time.x(quarter.to_ms) - 1.5
    span = f"{clock_text(quarter.from_ms, 'm')} to {clock_text(quarter.to_ms, 'm')} UTC"
    parts, base_wh = [], 0.0
    for uuid, energy in sorted(quarter.parts.items(), key=lambda part: part[0] is None):
        name = series.label(uuid)
        low, high = scale.y(base_wh), scale.y(base_wh + energy.drawn_wh())
        base_wh += energy.drawn_wh()
        told = f"{span}\n{name}: {energy.kwh()}\nof {quarter.total.kwh()}"
        inner = [
            rect(left, high, right - left, low - high, class_="share", data_share=name),
            tip(told),
        ]
        words = _fitting(
            (f"{name} {energy.kwh()}", f"{name} {energy.kwh()[:-4]}", name), right - left
        )
        if low - high >= 16 and words:
            at = (left + right) / 2
            inner.append(
                label(at, (low + high) / 2 + 4, words, class_="share-name", text_anchor="middle")
            )
        parts.append(tag("g", *inner, class_=f"tip {colour_class(name)}"))
    frame_top = scale.y(quarter.total.drawn_wh())
    parts.append(
        rect(
            left,
            frame_top,
            right - left,
            scale.bottom - frame_top,
            class_="bar",
            data_kwh=quarter.total.kwh(),
        )
    )
    words = _fitting((quarter.total.kwh(), quarter.total.kwh()[:-4]), right - left + 6)
    at = (left + right) / 2
    parts.append(label(at, frame_top - 6, words, class_="total", text_anchor="middle"))
    return tag("g", *parts, class_="quarter")


def _register(series: Series, time: TimeScale) -> Safe:
    top, height = _REGISTER
    title = "Import registers since the first quarter hour"
    device, gateway = _increases(series)
    highest = max((wh for _, wh in device + gateway), default=0)
    scale = ValueScale.up_to(highest, top + height, height, 4)
    parts = [_axis(scale, top, title, "kWh", -3)]
    for name, readings, increases in (
        ("gateway", series.gateway, gateway),
        ("device", series.device, device),
    ):
        points = [(time.x(r.t_ms), scale.y(wh)) for r, (_, wh) in zip(readings, increases)]
        if len(points) > 1:
            parts.append(path(points, class_=f"series {name}"))
        for reading, (x, y) in zip(readings, points):
            parts.append(_mark(reading, x, y))
    parts.append(_register_legend(series, top))
    if not device and not gateway:
        parts.append(_nothing(top, height, "no record with a register in the log"))
    return joined(parts)


def _increases(series: Series) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """(t_ms, Wh) of both witnesses since their reading of the first quarter hour both have."""
    common = {r.due_ms for r in series.device} & {r.due_ms for r in series.gateway} - {None}
    first = min((due for due in common if due is not None), default=None)
    found = []
    for readings in (series.device, series.gateway):
        base = next((r for r in readings if first is not None and r.due_ms == first), None)
        start = (base or readings[0]).register if readings else Energy(0, 0)
        found.append([(r.t_ms, (r.register - start).drawn_wh()) for r in readings])
    return found[0], found[1]


def _mark(reading: Reading, x: float, y: float) -> Safe:
    whose = "DICAMM, MID meter" if reading.witness == DEVICE else "SMGW, base meter"
    what = f"TAF7, due {clock_text(reading.due_ms)}" if reading.due_ms else reading.event
    told = f"{whose}\nrecord {reading.seq}: {what}\n{clock_text(reading.t_ms, 'ms')} UTC\n"
    told += f"register {reading.register.kwh()}"
    if reading.witness == DEVICE:
        shape = tag("circle", tip(told), cx=x, cy=y, r=3.4)
    else:
        shape = tag("circle", tip(told), cx=x, cy=y, r=6)
    return tag("g", shape, class_=f"tip mark {reading.witness}", data_record=reading.seq)


def _register_legend(series: Series, top: float) -> Safe:
    parts = []
    for at, name, whose, readings in (
        (WIDTH - 590, "device", "DICAMM, MID meter", series.device),
        (WIDTH - 306, "gateway", "SMGW, base meter", series.gateway),
    ):
        start = f", from {readings[0].register.kwh()}" if readings else ": none"
        shape = tag("circle", cx=at, cy=top - 14, r=3.4 if name == "device" else 6)
        parts.append(tag("g", shape, class_=f"mark {name}"))
        parts.append(label(at + 12, top - 10, whose + start, class_="note"))
    return joined(parts)


def _relay(series: Series, time: TimeScale) -> Safe:
    top, height = _RELAY
    parts = [label(_LEFT, top - 8, "Relay", class_="panel")]
    for words, y in (("closed", top + 6), ("open", top + height)):
        parts.append(label(_LEFT - 8, y + 2, words, class_="tick", text_anchor="end"))
    if not series.relay:
        return joined([*parts, _nothing(top, height, "no edge of the relay in the log")])
    steps = [(time.from_ms, not series.relay[0][1]), *series.relay]
    ends = [t_ms for t_ms, _ in series.relay] + [time.to_ms]
    points = []
    for (start, closed), end in zip(steps, ends):
        y = float(top if closed else top + height)
        points += [(time.x(start), y), (time.x(end), y)]
        told = f"relay {'closed' if closed else 'open'}\n{clock_text(start, 'ms')} to "
        told += f"{clock_text(end, 'ms')} UTC\n{duration_text(end - start)}"
        area = rect(
            time.x(start),
            top,
            time.x(end) - time.x(start),
            height,
            tip(told),
            class_="closed" if closed else "opened",
        )
        parts.append(tag("g", area, class_="tip"))
    parts.append(path(points, class_="step relay"))
    return joined(parts)


def _load(series: Series, time: TimeScale) -> Safe:
    top, height = _LOAD
    highest = max((power_w for _, power_w in series.load), default=0)
    scale = ValueScale.up_to(highest, top + height, height, 4)
    parts = [_axis(scale, top, "Power of the load", "W", 0)]
    if not series.load:
        return joined([*parts, _nothing(top, height, "no power of the load in the log")])
    ends = [t_ms for t_ms, _ in series.load[1:]] + [time.to_ms]
    points, areas = [], []
    for (start, power_w), end in zip(series.load, ends):
        if end < time.from_ms or start > time.to_ms:
            continue
        y = scale.y(power_w)
        points += [(time.x(start), y), (time.x(end), y)]
        if power_w:
            told = f"{power_w} W\n{clock_text(start, 'ms')} to {clock_text(end, 'ms')} UTC"
            area = rect(time.x(start), y, time.x(end) - time.x(start), scale.bottom - y, tip(told))
            areas.append(tag("g", area, class_="tip power"))
    return joined([*parts, *areas, path(points, class_="step power")])


def _axis(scale: ValueScale, top: float, title: str, unit: str, shift: int) -> Safe:
    parts = [label(_LEFT, top - 10, title, class_="panel")]
    for number in scale.ticks():
        y = scale.y(number * 10.0**scale.power)
        words = decimal_text(number, scale.power + shift) + f" {unit}"
        parts.append(line(_LEFT, y, WIDTH - _RIGHT, y, class_="grid" if number else "axis"))
        parts.append(label(_LEFT - 8, y + 4, words, class_="tick", text_anchor="end"))
    return joined(parts)


def _nothing(top: float, height: float, words: str) -> Safe:
    return label(
        WIDTH / 2, top + height / 2 + 4, shortened(words, 90), class_="note", text_anchor="middle"
    )
