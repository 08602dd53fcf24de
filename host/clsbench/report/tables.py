"""The tables of the report: verdict, transactions, checks, quarter hours, all events.

Energies come from the event log; the result document (`result.json`) adds difference, bound and
checks. Where both state an energy and differ, the table says so.
"""

import json
from typing import Any

from clsbench.report.chart import colour_class
from clsbench.report.quantity import (
    Energy,
    clock_text,
    date_text,
    duration_text,
    same_energy,
)
from clsbench.report.series import DEVICE, GATEWAY, POLLS, Series, Transaction
from clsbench.report.svg import Safe, joined, line, rect, tag
from clsbench.report.timeline import lanes_text

MAX_POLLS = 2_000
MAX_ROWS = 20_000
_DWH = -1  # the document counts in 0.1 Wh
_YES, _NO = "✓", "✗"


def checks_of(series: Series, document: dict[str, Any]) -> list[tuple[str, bool, str]]:
    """(name, ok, detail) of each check: the document's, else those in the log."""
    listed = document.get("checks")
    if isinstance(listed, list) and listed:
        return [
            (str(one.get("name")), one.get("ok") is True, str(one.get("detail", "")))
            for one in listed
            if isinstance(one, dict)
        ]
    return [
        (event["name"], event["ok"], str(event["detail"].get("text", "")))
        for event in series.events
        if event["kind"] == "check"
    ]


def verdict(series: Series, checks: list[tuple[str, bool, str]]) -> Safe:
    """The headline: what the checks say."""
    good = sum(ok for _, ok, _ in checks)
    if not series.events:
        return _banner(
            "none", "The event log is empty", "Nothing was recorded, so nothing is shown."
        )
    if not checks:
        words = "No verdict: the log holds no checks"
        return _banner("none", words, "What happened is shown below as far as it was recorded.")
    if good == len(checks):
        words = f"All {good} checks hold" if good > 1 else "The one check holds"
        return _banner("good", f"{_YES} {words}", _counts(series))
    names = ", ".join(name for name, ok, _ in checks if not ok)
    words = f"{_NO} {len(checks) - good} of {len(checks)} checks fail: {names}"
    return _banner("bad", words, _counts(series))


def facts(series: Series, document: dict[str, Any]) -> Safe:
    """What was on the bench, and when."""
    names = document.get("names")
    told = names if isinstance(names, dict) else {}
    pairs = [("bench time", _bench_time(series))]
    pairs += [
        (title, told.get(key))
        for title, key in (
            ("SMGW", "smgw"),
            ("DICAMM (CLS-ID)", "cls"),
            ("MID meter", "mid_meter"),
            ("base meter", "lmn_meter"),
            ("aEMT", "emt"),
            ("GWA", "gwa"),
        )
    ]
    pairs.append(("scenario", document.get("scenario")))
    speed = document.get("speed")
    pairs.append(("clock", f"{speed} bench seconds per second" if speed else None))
    items = [
        tag("div", tag("dt", title), tag("dd", str(value))) for title, value in pairs if value
    ]
    return tag("dl", *items, class_="facts") if items else Safe("")


def _bench_time(series: Series) -> str | None:
    if not series.events:
        return None
    first, last = (series.events[at]["t_ns"] // 1_000_000 for at in (0, -1))
    until = f"{date_text(last)} " if date_text(first) != date_text(last) else ""
    return f"{date_text(first)} {clock_text(first)} to {until}{clock_text(last)} UTC"


def transactions_table(series: Series, document: dict[str, Any]) -> Safe:
    """Energies of every recorded transaction by both witnesses."""
    if not series.recorded:
        return tag("p", "The log holds no transaction with a record.", class_="empty")
    listed = document.get("transactions")
    known = {
        one.get("uuid"): one
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    }
    others = any(_dwh(one, "others_dwh") not in (None, Energy(0, _DWH)) for one in known.values())
    titles = ["", "Transaction", "Begin to end, UTC", "Device (MID meter)", "Gateway (base meter)"]
    titles += ["Others behind the base meter"] if others else []
    titles += ["Difference of the witnesses", ""]
    rows = [_transaction_row(one, known.get(one.uuid, {}), others) for one in series.recorded]
    return _table(titles, rows, "results")


def checks_table(checks: list[tuple[str, bool, str]]) -> Safe:
    """Every check with its tick and what it found."""
    if not checks:
        return tag("p", "No checks in the log and no result document.", class_="empty")
    rows = [
        tag(
            "tr",
            tag("td", _tick(ok)),
            tag("td", name.replace("_", " "), class_="check"),
            tag("td", detail, class_="long"),
        )
        for name, ok, detail in checks
    ]
    return _table(["", "Check", "Finding"], rows, "checks")


def quarters_table(series: Series) -> Safe:
    """The bars of the chart in numbers."""
    if not series.quarters:
        return Safe("")
    used = [one for one in series.recorded if any(one.uuid in q.parts for q in series.quarters)]
    titles = ["Quarter hour, UTC", *(f"{one.label} {one.text}" for one in used), "rest", "metered"]
    rows, total = [], Energy(0, series.quarters[0].total.scaler)
    sums: dict[str | None, Energy] = {}
    for quarter in series.quarters:
        span = f"{clock_text(quarter.from_ms, 'm')} to {clock_text(quarter.to_ms, 'm')}"
        rows.append(
            _energies(
                span,
                [quarter.parts.get(one.uuid) for one in used],
                quarter.parts.get(None),
                quarter.total,
            )
        )
        total += quarter.total
        for uuid, energy in quarter.parts.items():
            sums[uuid] = sums[uuid] + energy if uuid in sums else energy
    rows.append(_energies("together", [sums.get(one.uuid) for one in used], sums.get(None), total))
    table = _table(titles, rows, "quarters")
    few = len(series.quarters) <= 24
    return tag("details", tag("summary", "Quarter hours in numbers"), table, open=few)


def events_table(series: Series, sentences: list[str]) -> Safe:
    """Every event, polls up to MAX_POLLS; each with its details and bytes, folded away."""
    rows, polls, left_out = [], 0, 0
    for number, event in enumerate(series.events):
        polls += event["name"] in POLLS
        if (event["name"] in POLLS and polls > MAX_POLLS) or len(rows) >= MAX_ROWS:
            left_out += 1
            continue
        rows.append(_event_row(series, number, event, sentences[number]))
    titles = ["Time, UTC", "Lanes", "Kind", "Name", "UUID", "What it says", "Details"]
    said = f"{len(rows)} events"
    if left_out:
        said += f"; {left_out} more are left out here and stand in the event log"
    return joined(
        [tag("p", said, class_="note", id="events-count"), _table(titles, rows, "events")]
    )


def _banner(kind: str, words: str, more: str) -> Safe:
    return tag("div", tag("strong", words), tag("span", more), class_=f"verdict {kind}")


def _counts(series: Series) -> str:
    refused = sum(not event["ok"] and event["kind"] != "check" for event in series.events)
    said = f"{_number(len(series.recorded), 'transaction')}, {len(series.device)} device and "
    said += f"{_number(len(series.gateway), 'gateway record')}, "
    said += f"{_number(refused, 'refusal or fault', 'refusals or faults')} in the log"
    if series.left_out:
        said += f"; not drawn: {_number(series.left_out, 'record')} without register or legal time"
    return said


def _number(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def _transaction_row(one: Transaction, told: dict[str, Any], others: bool) -> Safe:
    begin, end = one.edge_ms("begin"), one.edge_ms("end")
    span = f"{clock_text(begin)} to " if begin is not None else "? to "
    span += clock_text(end) if end is not None else "still open"
    length = duration_text(end - begin) if begin is not None and end is not None else ""
    device, gateway = one.energy(DEVICE), one.energy(GATEWAY)
    cells = [
        tag("td", tag("span", one.label, class_=f"chip {colour_class(one.label)}")),
        tag(
            "td",
            tag("a", one.text or "unnamed", href=f"#lanes-{one.label}", data_choose=one.label),
            tag("code", one.uuid),
        ),
        tag("td", span, tag("small", length)),
        _energy_cell(device, _dwh(told, "device_dwh")),
        _energy_cell(gateway, _dwh(told, "gateway_dwh")),
    ]
    rest = _dwh(told, "others_dwh")
    if others:
        cells.append(tag("td", rest.kwh() if rest else "-", class_="number"))
    difference, bound = _dwh(told, "difference_dwh"), _dwh(told, "bound_dwh")
    if difference is None and device and gateway:
        difference = gateway - device
    cells.append(_difference_cell(difference, bound))
    verdict_known = isinstance(told.get("ok"), bool)
    cells.append(tag("td", _tick(told["ok"]) if verdict_known else Safe("")))
    return tag("tr", *cells)


def _energy_cell(logged: Energy | None, told: Energy | None) -> Safe:
    shown = logged or told
    if shown is None:
        return tag("td", "no pair of readings", class_="number empty")
    if logged and told and not same_energy(logged, told):
        note = tag("small", f"result document says {told.kwh()}", class_="bad")
        return tag("td", tag("b", shown.kwh()), note, class_="number")
    return tag("td", tag("b", shown.kwh()), class_="number")


def _difference_cell(difference: Energy | None, bound: Energy | None) -> Safe:
    if difference is None:
        return tag("td", "-", class_="number")
    if bound is None or bound.raw <= 0:
        return tag("td", difference.wh(), class_="number")
    said = tag("small", f"at most {bound.wh()} either way")
    return tag("td", difference.wh(), _gauge(difference, bound), said, class_="number")


def _gauge(difference: Energy, bound: Energy) -> Safe:
    """Where the difference lies between the bounds."""
    share = max(-1.15, min(1.15, difference.drawn_wh() / bound.drawn_wh()))
    inside = abs(share) <= 1
    return tag(
        "svg",
        rect(10, 4, 100, 6, class_="range"),
        line(60, 1, 60, 13, class_="zero"),
        tag("circle", cx=60 + 50 * share, cy=7, r=4, class_="here" if inside else "here bad"),
        viewBox="0 0 120 14",
        class_="gauge",
        aria_hidden="true",
    )


def _energies(name: str, parts: list[Energy | None], rest: Energy | None, total: Energy) -> Safe:
    cells = [tag("td", name)]
    for energy in [*parts, rest]:
        cells.append(tag("td", energy.kwh() if energy else "-", class_="number"))
    cells.append(tag("td", tag("b", total.kwh()), class_="number"))
    return tag("tr", *cells)


def _event_row(series: Series, number: int, event: dict[str, Any], sentence: str) -> Safe:
    t_ms = event["t_ns"] // 1_000_000
    uuid = event["uuid"]
    whose = ""
    if uuid is not None:
        whose = tag("span", f"{series.label(uuid)} {uuid[:8]}", title=uuid)
    return tag(
        "tr",
        tag("td", clock_text(t_ms, "ms"), title=date_text(t_ms)),
        tag("td", lanes_text(event)),
        tag("td", event["kind"]),
        tag("td", event["name"], class_="name"),
        tag("td", whose),
        tag("td", ("" if event["ok"] else f"{_NO} ") + sentence, class_="long"),
        tag("td", _details(event)),
        id=f"e{number}",
        class_=None if event["ok"] else "bad",
        data_kind=event["kind"],
        data_poll=event["name"] in POLLS,
    )


def _details(event: dict[str, Any]) -> Safe:
    raw = event["raw"]
    content = json.dumps(event["detail"], indent=1, ensure_ascii=False)
    parts = [tag("summary", "details" if raw is None else f"details, {len(raw) // 2} bytes")]
    parts.append(tag("pre", content))
    if raw is not None:
        parts.append(tag("p", "Bytes that travelled:"))
        parts.append(tag("code", raw, class_="hex"))
    parts.append(tag("p", f"event {event['id']}", class_="note"))
    return tag("details", *parts)


def _table(titles: list[str], rows: list[Safe], class_: str) -> Safe:
    head = tag("tr", *(tag("th", title, scope="col") for title in titles))
    return tag("table", tag("thead", head), tag("tbody", *rows), class_=class_)


def _tick(ok: bool) -> Safe:
    return tag(
        "span", _YES if ok else _NO, class_="yes" if ok else "no", title="holds" if ok else "fails"
    )


def _dwh(told: dict[str, Any], key: str) -> Energy | None:
    value = told.get(key)
    return Energy(value, _DWH) if type(value) is int else None
