"""A second calculator, written from the rules alone and by another method.

Shares energy on the axis of the *register* instead of the axis of time: each transaction and each
doubt becomes a set of register intervals, a quarter hour's shares are measures of sets. Fractions
of a kWh, no index of units, no sorted lists to bisect; slow and plain on purpose. Shares nothing
with the product. Knows no meter change.
"""

from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from record_numbers import at_gap, gaps_of
from register_sets import Interval, both, narrow, size, wide, without

QUARTER = timedelta(minutes=15)


def shares(document: dict) -> dict:
    """(instant, direction) -> None while missing, else {(group, uuid): kWh}, doubtful kWh."""
    body = document["input"]
    result = {}
    for name, code in (("import", "1.8.0"), ("export", "2.8.0")):
        own = [one for one in body["series"] if code in one["obis"]]
        if own:
            result |= _direction(body, name, code, own)
    return result


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _kwh(raw: int, scaler: int) -> Fraction:
    return Fraction(raw) * Fraction(10) ** (scaler - 3)


def _direction(body: dict, name: str, code: str, own: list[dict]) -> dict:
    begin, end = _time(body["window"]["from"]), _time(body["window"]["to"])
    grid = []
    while not grid or grid[-1] < end:
        grid.append(begin + len(grid) * QUARTER)
    dead_since = _dead_since(body, own, code)
    readings = _grid_readings(own, grid, dead_since)
    known, fell = _falls(readings)
    events = _events(body)
    values = _values(body, events, code, known, fell, dead_since)
    stretches = _stretches(body, events)
    doubts = _doubts(body, events, values)
    result = {}
    known, ends = _fill(body, grid, known, fell, values)
    for start in grid[:-1]:
        low, high = known.get(start), known.get(start + QUARTER)
        key = (start, name)
        if (
            low is None
            or high is None
            or _level(ends, fell, start) != _level(ends, fell, start + QUARTER)
        ):
            result[key] = None
            continue
        result[key] = _measure(body, low, high, values, stretches, doubts)
    return result


def _dead_since(body: dict, own: list[dict], code: str) -> datetime | None:
    found = [
        _time(one.get("captured") or one["t"])
        for series in own
        for one in series["readings"]
        if one.get("ptb") == 4
    ]
    for one in body["events"]:
        touched = not one["values"] or any(code in value["obis"] for value in one["values"])
        if one.get("ptb") == 4 and touched and one.get("time_valid", True):
            found.append(_time(one["t"]))
    return min(found, default=None)


def _grid_readings(own: list[dict], grid: list[datetime], dead: datetime | None) -> dict:
    """Due instant -> (position, kWh), conflicts and unusable ones left out."""
    found: dict[datetime, set] = {}
    for series in own:
        for one in series["readings"]:
            position = _time(one.get("captured") or one["t"])
            if "t" in one:
                fits = [at for at in grid if at == _time(one["t"])]
            else:
                fits = [at for at in grid if abs(position - at) <= timedelta(seconds=9)]
            if not fits or one.get("ptb", 0) >= 3 or (dead is not None and position >= dead):
                continue
            entry = (_kwh(one["raw"], series["scaler"]), one.get("ptb", 0) == 2, position)
            found.setdefault(fits[0], set()).add(entry)
    result = {}
    latest = None
    for at in sorted(found):
        if len({value for value, _sub, _position in found[at]}) > 1:
            continue
        value, _sub, position = min(found[at], key=lambda entry: (entry[1], entry[2]))
        latest = position if latest is None else max(latest, position)
        result[at] = (latest, value)
    return result


def _falls(readings: dict) -> tuple[dict, list[tuple[datetime, datetime]]]:
    """The readings, and the stretches in which the register fell."""
    order = sorted(readings)
    fell = [
        (readings[a][0], readings[b][0])
        for a, b in zip(order, order[1:], strict=False)
        if readings[b][1] < readings[a][1]
    ]
    return dict(readings), fell


def _level(positions: dict, fell: list, at: datetime) -> int:
    """How many falls lie before the boundary of an instant."""
    return sum(positions[at] >= stop for _start, stop in fell)


def _events(body: dict) -> list[dict]:
    """Records once, in order; those without legal time behind the number before theirs."""
    once = []
    for one in body["events"]:
        plain = {**one, "at": _time(one["t"])}
        if plain not in once:
            once.append(plain)
    order = sorted(
        (e for e in once if e.get("time_valid", True)), key=lambda e: (e["at"], e["seq"])
    )
    for one in sorted((e for e in once if not e.get("time_valid", True)), key=lambda e: e["seq"]):
        earlier = [i for i, other in enumerate(order) if other["seq"] < one["seq"]]
        order.insert(earlier[-1] + 1 if earlier else 0, one)
    return order


def _stretches(body: dict, events: list[dict]) -> dict[str | None, list]:
    """uuid -> stretches surely open; None -> stretches of which nobody knows the state."""
    far = timedelta(days=900)
    first, last = _time(body["window"]["from"]) - far, _time(body["window"]["to"]) + far
    gaps = gaps_of(body, events, first)
    unknown = list(gaps)
    begun: dict[str, dict | None] = dict.fromkeys(body.get("open_at_start", []))
    ended: dict[str, dict] = {}
    counting, strays = [], []
    for one in events:
        if one["kind"] == "begin" and one["uuid"] not in begun:
            begun[one["uuid"]] = one
        elif one["kind"] == "end" and one["uuid"] in begun and one["uuid"] not in ended:
            ended[one["uuid"]] = one
        elif one["kind"] == "end":
            strays.append(one)
        else:
            continue
        counting.append(one)
    sure = [one for one in counting if one.get("time_valid", True)]

    def before(one: dict) -> datetime:
        found = [x["at"] for x in sure if _index(events, x) < _index(events, one)]
        return found[-1] if found else first

    def after(one: dict) -> datetime:
        found = [x["at"] for x in sure if _index(events, x) > _index(events, one)]
        return found[0] if found else last

    unknown += [(before(one), after(one)) for one in counting if one not in sure]
    unknown += [(before(one), one["at"]) for one in strays if one in sure]
    result: dict[str | None, list] = {}
    for uuid, begin in begun.items():
        start = first if begin is None else begin["at"] if begin in sure else after(begin)
        if uuid in ended:
            end = ended[uuid]
            stop = end["at"] if end in sure else before(end)
        else:
            doubt = before(begin) if begin is not None and begin not in sure else start
            stop = min((low for low, _high in gaps if low >= doubt), default=last)
            unknown.append((doubt, stop))
        if start < stop:
            result[uuid] = [(start, stop)]
    result[None] = [stretch for stretch in unknown if stretch[0] < stretch[1]]
    return result


def _index(events: list[dict], one: dict) -> int:
    return next(i for i, other in enumerate(events) if other is one)


def _values(
    body: dict, events: list[dict], code: str, known: dict, fell: list, dead: datetime | None
) -> list[dict]:
    """Usable values of events: position, kWh, level, and whether they cut."""
    points = sorted(known.values())
    found, absent = [], []
    for one in events:
        if not one.get("time_valid", True):
            continue
        own = [value for value in one["values"] if code in value["obis"]]
        cuts = one["kind"] in ("begin", "end")
        if not own:
            absent += [one] if cuts else []
            continue
        value = _kwh(own[0]["raw"], own[0]["scaler"])
        if one.get("ptb", 0) >= 3 or (dead is not None and one["at"] >= dead):
            continue
        level = _fit(one["at"], value, points, fell)
        if level is not None:
            found.append({"at": one["at"], "value": value, "level": level, "one": one})
    found = [each for each in found if _counts(each["one"], events, body)]
    switching = [each for each in found if each["one"]["kind"] in ("begin", "end")]
    while True:
        bad = []
        for a, b in zip(switching, switching[1:], strict=False):
            if (b["level"], b["value"]) < (a["level"], a["value"]):
                bad += [a, b]
        if not bad:
            break
        switching = [each for each in switching if each not in bad]
    neutral = [each for each in found if each["one"]["kind"] not in ("begin", "end")]
    while True:
        order = sorted(switching + neutral, key=lambda each: each["at"])
        bad = []
        for a, b in zip(order, order[1:], strict=False):
            if (b["level"], b["value"]) < (a["level"], a["value"]):
                bad += [a, b]
        kept = [{**each, "neutral": True} for each in neutral if each not in bad]
        if len(kept) == len(neutral):
            neutral = kept
            break
        neutral = [each for each in neutral if each not in bad]
    still = [_still(one, points, fell, switching) for one in absent if _counts(one, events, body)]
    return switching + neutral + [each for each in still if each is not None]


def _counts(one: dict, events: list[dict], body: dict) -> bool:
    """A repeated begin does not count."""
    if one["kind"] != "begin":
        return True
    first = next(e for e in events if e["kind"] == "begin" and e["uuid"] == one["uuid"])
    return first is one and one["uuid"] not in body.get("open_at_start", [])


def _fit(at: datetime, value: Fraction, points: list, fell: list) -> int | None:
    here = [v for p, v in points if p == at]
    low = [(p, v) for p, v in points if p < at]
    high = [(p, v) for p, v in points if p > at]
    level = sum(at >= stop for _start, stop in fell)
    if here:
        return level if value in here else None
    falling = any(start < at < stop for start, stop in fell)
    rises = not low or value >= low[-1][1]
    ends = not high or value <= high[0][1]
    if falling:
        return level if rises else level + 1 if ends else None
    return level if rises and ends else None


def _still(one: dict, points: list, fell: list, switching: list) -> dict | None:
    at = one["at"]
    levels = [(sum(p >= stop for _s, stop in fell), v, p) for p, v in points]
    before = [(lv, v) for lv, v, p in levels if p <= at]
    after = [(lv, v) for lv, v, p in levels if p > at]
    before += [(e["level"], e["value"]) for e in switching if e["at"] <= at]
    after += [(e["level"], e["value"]) for e in switching if e["at"] > at]
    if before and after and max(before) == min(after):
        return {"at": at, "value": max(before)[1], "level": max(before)[0], "one": one}
    return None


def _fill(body: dict, grid: list, known: dict, fell: list, values: list) -> tuple[dict, dict]:
    """Boundaries with substitutes, and the positions of all of them."""
    filled = dict(known)
    positions = {at: known[at][0] if at in known else at for at in grid}
    if body["policy"].get("substitute") != "linear":
        return filled, positions
    longest = timedelta(milliseconds=body["policy"].get("substitute_max_ms", 7_200_000))
    anchors = [(p, sum(p >= stop for _s, stop in fell), v) for p, v in known.values()]
    anchors += [(each["at"], each["level"], each["value"]) for each in values]
    unit = Fraction(1, 10 ** (3 - min(_scalers(body), default=0)))
    for at in grid:
        low = [anchor for anchor in anchors if anchor[0] <= at]
        high = [anchor for anchor in anchors if anchor[0] >= at]
        if at in known or not low or not high:
            continue
        a = max(low)
        b = min(high)
        if a[1] != b[1] or b[0] - a[0] > longest:
            continue
        value = b[2]
        if b[0] > a[0]:
            value = a[2] + (
                (b[2] - a[2])
                * Fraction((at - a[0]) / timedelta(microseconds=1))
                / Fraction((b[0] - a[0]) / timedelta(microseconds=1))
            )
        filled[at] = (at, value // unit * unit)
        positions[at] = at
        if a[1]:
            fell_before = [stop for _s, stop in fell][: a[1]]
            positions[at] = max(at, *fell_before)
    return filled, positions


def _scalers(body: dict) -> set[int]:
    scalers = {series["scaler"] for series in body["series"]}
    return scalers | {v["scaler"] for one in body["events"] for v in one["values"]}


def _doubts(body: dict, events: list[dict], values: list[dict]) -> list[tuple]:
    """Places (instant, number) of records that switch with legal time without a usable value."""
    return [
        (one["at"], one["seq"])
        for one in events
        if one["kind"] in ("begin", "end")
        and one.get("time_valid", True)
        and _counts(one, events, body)
        and not any(each["one"] is one for each in values)
    ]


def _measure(
    body: dict, low: tuple, high: tuple, values: list, stretches: dict, doubts: list[tuple]
) -> tuple:
    """Shares of one quarter hour as measures of sets on the register axis."""
    placed = [
        (each["at"], -1 if each.get("neutral") else each["one"]["seq"], each["value"])
        for each in values
        if low[0] <= each["at"] < high[0]
        and (not each.get("neutral") or at_gap(each["one"]["seq"], body))
    ]
    cuts = [low, *((at, value) for at, _seq, value in placed), high]
    ranked = [(low[0], -1, low[1]), *placed, (high[0], -1, high[1])]
    unknown: list[Interval] = []
    for start, stop in stretches[None]:
        unknown += wide(cuts, low, high, start, stop)
    for place in doubts:
        if low[0] <= place[0] < high[0]:
            lower = max(value for t, seq, value in ranked if (t, seq) <= place)
            upper = min(value for t, seq, value in ranked if (t, seq) > place)
            unknown.append((lower, upper))
    for one, other in pairwise(sorted(p for p in placed if p[1] >= 0)):
        if one[0] == other[0]:  # two registers at one instant
            unknown.append((one[2], other[2]))
    sure: dict[str, list[Interval]] = {}
    for uuid, found in stretches.items():
        if uuid is None:
            continue
        for start, stop in found:
            outer = wide(cuts, low, high, start, stop)
            inner = narrow(cuts, low, high, start, stop)
            sure[uuid] = inner
            unknown += without(outer, inner)
    names = sorted(sure)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            unknown += both(sure[name], sure[other])
            one, two = stretches[name][0], stretches[other][0]
            start, stop = max(one[0], two[0]), min(one[1], two[1])
            if start < stop:
                unknown += wide(cuts, low, high, start, stop)
    result: dict[tuple[str, str | None], Fraction] = {}
    whole = [(low[1], high[1])]
    groups = body["groups"]
    taken: list[Interval] = []
    for name in names:
        part = size(without(sure[name], unknown))
        key = (groups["by_uuid"].get(name, groups["delta"]), name)
        if part:
            result[key] = part
        taken += sure[name]
    doubt = size(unknown)
    if doubt:
        result[groups["delta"], None] = doubt
    rest = size(without(whole, taken + unknown))
    if rest:
        key = (groups["rest"], None)
        result[key] = result.get(key, Fraction(0)) + rest
    return result, doubt
