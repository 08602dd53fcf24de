"""The report of a run: one HTML file that needs nothing else and asks for nothing.

Puts chart, swim lanes and tables into the page's template. The page works without its script;
its own security policy allows that one script and no request to anywhere.
"""

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

from clsbench.errors import BadInput
from clsbench.report.chart import colour_class, draw_chart
from clsbench.report.lanes import draw_lanes
from clsbench.report.sentences import Teller
from clsbench.report.series import Series, Transaction
from clsbench.report.settlement import settlement_section
from clsbench.report.svg import Safe, joined, tag
from clsbench.report.tables import (
    checks_of,
    checks_table,
    events_table,
    facts,
    quarters_table,
    transactions_table,
    verdict,
)

_TEMPLATES = Path(__file__).with_name("templates")
MAX_LANES = 60  # transactions that get a diagram; the events of all are in the table


def write_report(
    events: Iterable[dict[str, Any]], document: dict[str, Any] | None, out: Path
) -> None:
    """Writes the report of a run to the file `out`.

    events: of the event log, in any order. document: content of `result.json`, for checks,
    differences and bounds; None: checks from the log. Raises BadInput when `out` cannot be
    written.
    """
    page = render(events, document)
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"report {out}: cannot be written: {error.strerror}") from error


def render(events: Iterable[dict[str, Any]], document: dict[str, Any] | None) -> str:
    """The report as text; see `write_report`."""
    series, told = Series.of(events), document or {}
    teller = Teller()
    sentences = [teller.tell(event) for event in series.events]
    checks = checks_of(series, told)
    script, style = _template("page.js"), _template("page.css")
    return Template(_template("page.html")).substitute(
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        verdict=verdict(series, checks),
        facts=facts(series, told),
        transactions=transactions_table(series, told),
        checks=checks_table(checks),
        chart=draw_chart(series)
        or tag("p", "The log holds no reading and no switching to draw.", class_="empty"),
        quarters=quarters_table(series),
        settlement=settlement_section(series, told),
        lanes=_lanes(series, sentences),
        kinds=_kinds(series),
        events=events_table(series, sentences),
    )


def _lanes(series: Series, sentences: list[str]) -> Safe:
    shown = (series.recorded + [one for one in series.transactions if not one.recorded])[
        :MAX_LANES
    ]
    if not shown:
        return tag("p", "No event in the log carries a UUID.", class_="empty")
    choices = [
        tag(
            "a",
            tag("span", one.label, class_=f"chip {colour_class(one.label)}"),
            _name(one),
            tag("code", one.uuid[:8]),
            href=f"#lanes-{one.label}",
            class_="choice",
            data_choose=one.label,
        )
        for one in shown
    ]
    diagrams = [
        tag(
            "section",
            tag("h3", f"{one.label} {_name(one)} ", tag("code", one.uuid)),
            draw_lanes(series, one, sentences),
            id=f"lanes-{one.label}",
            class_="diagram",
            data_label=one.label,
        )
        for one in shown
    ]
    return joined([tag("nav", *choices, class_="choices"), *diagrams])


def _name(one: Transaction) -> str:
    return one.text or ("unnamed" if one.recorded else "no record")


def _kinds(series: Series) -> Safe:
    kinds = sorted({event["kind"] for event in series.events})
    return joined(tag("option", kind) for kind in kinds)


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
