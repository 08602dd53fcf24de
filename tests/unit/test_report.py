"""The HTML report: everything in it comes from the event log, exact, escaped, from one file."""

import html
import json
import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from clsbench.cli.report import report
from clsbench.clock import BenchClock
from clsbench.errors import BadInput
from clsbench.eventlog import EventLog, read_events
from clsbench.report.html import render, write_report
from clsbench.report.quantity import Energy
from clsbench.report.scales import TimeScale, ValueScale
from clsbench.report.series import DEVICE, GATEWAY, Series

T0_MS = 1_777_882_500_000  # 2026-05-04 08:15:00 UTC
MINUTE_MS = 60_000
FIRST = "6f1b0e52-0000-4000-8000-000000000001"
SECOND = "7a2c1f63-0000-4000-8000-000000000002"
HOSTILE = "</title><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&\x00\x1b"


class Log:
    """A log as the chain writes it: five quarter-hour readings, a transaction in two of the
    quarter hours, another in the third; between them 40 Wh that belong to none."""

    def __init__(self, path):
        self.path = path
        self.log = EventLog(path, BenchClock(), "test")
        self.seq = 0
        self.gateway_seq = {"taf7": 0, "taf16": 0}

    def tell(self, minute, *event, **more):
        self.log.event(*event, t_ns=int((T0_MS + minute * MINUTE_MS) * 10**6), **more)

    def device(self, minute, wh, taf=7, uuid=None, event=None, text=""):
        self.seq += 1
        t_ms = int(T0_MS + minute * MINUTE_MS)
        detail = {
            "seq": self.seq,
            "taf": taf,
            "uuid": uuid,
            "event": event,
            "text": text,
            "device_id": "ETST0020000017",
            "captured_ms": t_ms,
            "values": [
                {"obis": "1-0:1.8.0*255", "raw": 123456 + wh // 10, "scaler": 1, "unit": 30}
            ],
            "due_ms" if taf == 7 else "event_ms": t_ms,
        }
        self.tell(
            minute,
            "DICAMM",
            "DICAMM",
            "record",
            f"device.taf{taf}",
            uuid=uuid,
            detail=detail,
            raw=b"\xd1\x84" * 40,
        )

    def gateway(self, minute, dwh, taf="taf16", uuid=None, event=None):
        self.gateway_seq[taf] += 1
        t_ms = int(T0_MS + minute * MINUTE_MS)
        detail = {
            "profile_id": taf,
            "seq": self.gateway_seq[taf],
            "captured_ms": t_ms,
            "event": event,
            "values": [{"obis": "1-0:1.8.0*255", "raw": 87654320 + dwh, "scaler": -1, "unit": 30}],
        }
        name = "record.written" if taf == "taf16" else "taf7.record"
        self.tell(minute, "SMGW", "SMGW", "record", name, uuid=uuid, detail=detail)

    def switch(self, minute, action, uuid, text, wh, dwh):
        detail = {"action": action, "text": text}
        self.tell(minute, "aEMT", "SMGW", "message", "command.in", uuid=uuid, detail=detail)
        self.tell(
            minute + 0.01,
            "SMGW",
            "DICAMM",
            "message",
            "command.forwarded",
            uuid=uuid,
            detail=detail,
        )
        edge = "relay.closed" if action == "begin" else "relay.opened"
        self.tell(minute + 0.02, "DICAMM", "load", "state", edge)
        self.device(minute + 0.03, wh, 16, uuid, action, text)
        self.gateway(minute + 0.04, dwh, uuid=uuid, event=action)


@pytest.fixture
def log(tmp_path):
    log = Log(tmp_path / "events.jsonl")
    for minute, power_w in ((0, 0), (5, 6000), (26, 0), (37, 6000), (42, 0)):
        log.tell(minute, "load", "load", "state", "load.power", detail={"power_w": power_w})
    log.device(0, 0)
    log.gateway(0, 0, "taf7")
    log.switch(5, "begin", FIRST, "wind surplus", 0, 0)
    log.device(15, 1000)
    log.switch(26, "end", FIRST, "wind surplus", 2100, 20920)
    log.device(30, 2140)
    log.switch(37, "begin", SECOND, "negative price", 2140, 21300)
    log.switch(42, "end", SECOND, "negative price", 2640, 26299)
    log.device(45, 2640)
    log.device(60, 2640)
    return log


def page(log, document=None):
    return render(read_events(log.path), document)


def section(text, label):
    return re.search(rf'<section id="lanes-{label}".*?</section>', text, re.S)[0]


def test_the_chart_holds_a_bar_for_each_quarter_hour_and_a_share_for_each_transaction(log):
    text = page(log)
    assert text.count('class="bar"') == 4
    assert re.findall(r'class="bar" data-kwh="([^"]+)"', text) == [
        "1.00 kWh",
        "1.14 kWh",
        "0.50 kWh",
        "0.00 kWh",
    ]
    assert re.findall(r'data-share="([^"]+)"', text) == ["T1", "T1", "rest", "T2"]


def test_the_chart_holds_a_span_for_each_transaction_and_a_mark_for_each_record(log):
    text = page(log)
    assert len(re.findall(r'class="span t\d"', text)) == 2
    assert len(re.findall(r'class="tip mark device"', text)) == 9
    assert len(re.findall(r'class="tip mark gateway"', text)) == 5
    assert text.count('class="closed"') == 2


def test_energies_are_exact_with_unit_and_resolution(log):
    text = page(log)
    for shown in ("2.10 kWh", "2.0920 kWh", "-8.0 Wh", "1.14 kWh", "0.04 kWh", "1234.56 kWh"):
        assert shown in text


def test_parts_of_a_quarter_hour_add_up_to_what_was_metered(log):
    quarters = Series.of(read_events(log.path)).quarters
    assert [q.parts for q in quarters] == [
        {FIRST: Energy(100, 1)},
        {FIRST: Energy(110, 1), None: Energy(4, 1)},
        {SECOND: Energy(50, 1)},
        {},
    ]
    for quarter in quarters:
        assert sum((e.raw for e in quarter.parts.values()), 0) == quarter.total.raw


def test_lanes_hold_an_arrow_for_each_message_in_the_order_of_the_log(log):
    first = section(page(log), "T1")
    assert first.count('class="arrow"') == 6  # three messages at the begin, three at the end
    assert first.count('class="node"') == 4
    assert re.findall(r'class="name"[^>]*>([^<]+)', first) == [
        "command.in",
        "command.forwarded",
        "relay.closed",
        "device.taf16",
        "record.written",
        "command.in",
        "command.forwarded",
        "relay.opened",
        "device.taf16",
        "record.written",
    ]
    assert "20 min 57 s later" in first


def test_what_is_matched_by_time_is_drawn_as_such(log):
    first = section(page(log), "T1")
    assert first.count('class="row tip state guessed"') == 2
    assert section(page(log), "T2").count("guessed") == 2


def test_a_refused_command_is_a_diagram_of_its_own_and_no_transaction(log):
    uuid = "99999999-0000-4000-8000-000000000003"
    log.tell(
        1,
        "aEMT",
        "SMGW",
        "fault",
        "wan.refused",
        uuid=uuid,
        ok=False,
        detail={"reason": "CLS not known", "status": 404},
    )
    text = page(log)
    assert "row tip fault bad" in section(text, "R1") and "CLS not known" in section(text, "R1")
    assert len(re.findall(r'class="span t\d"', text)) == 2


def test_an_unknown_event_is_kept(log):
    log.tell(3, "GWA", "SMGW", "message", "firmware.offered", detail={"version": "2.1"})
    assert "firmware.offered: version 2.1" in page(log)


def test_the_verdict_is_of_the_document_and_else_of_the_log(log):
    assert "No verdict: the log holds no checks" in page(log)
    log.tell(61, "operator", "operator", "check", "sequences_gapless", detail={"text": "fine"})
    assert "✓ The one check holds" in page(log)
    checks = [
        {"name": "a", "ok": True, "detail": ""},
        {"name": "b_c", "ok": False, "detail": "records 3, 4 missing"},
    ]
    text = page(log, {"checks": checks})
    assert "1 of 2 checks fail: b_c" in text and "records 3, 4 missing" in text


def test_difference_and_bound_come_from_the_document(log):
    told = {
        "uuid": FIRST,
        "device_dwh": 21000,
        "gateway_dwh": 20920,
        "difference_dwh": -80,
        "bound_dwh": 435,
        "others_dwh": 0,
        "ok": True,
    }
    text = page(log, {"transactions": [told]})
    assert "at most 43.5 Wh either way" in text and 'title="holds"' in text
    assert "result document says" not in text


def test_a_document_that_contradicts_the_log_is_shown_up(log):
    text = page(log, {"transactions": [{"uuid": FIRST, "device_dwh": 21010}]})
    assert "result document says 2.1010 kWh" in text


def test_a_transaction_without_end_is_said_to_be_open(tmp_path):
    log = Log(tmp_path / "open.jsonl")
    log.device(0, 0)
    log.switch(5, "begin", FIRST, "wind surplus", 0, 0)
    text = page(log)
    assert "still open" in text and "no pair of readings" in text
    assert text.count('class="span t0"') == 1


def test_hostile_text_is_nothing_but_text(log):
    detail = {"text": HOSTILE, "action": HOSTILE, "reason": HOSTILE, HOSTILE: HOSTILE}
    log.tell(2, "aEMT", "SMGW", "message", "command.in", uuid=HOSTILE, detail=detail)
    log.tell(2, "aEMT", "SMGW", "fault", HOSTILE, uuid=SECOND, ok=False, detail=detail)
    log.device(62, 2640, 16, HOSTILE, "begin", HOSTILE)
    check = {"name": HOSTILE, "ok": False, "detail": HOSTILE}
    told = {"uuid": HOSTILE, "name": HOSTILE, "ok": HOSTILE, "bound_dwh": HOSTILE}
    document = {
        "checks": [check],
        "transactions": [told],
        "names": {"smgw": HOSTILE},
        "scenario": HOSTILE,
        "speed": HOSTILE,
    }
    text = page(log, document)
    tags = Tags(text)
    assert tags.found.count("script") == 1 and "img" not in tags.found
    assert not [name for name in tags.attributes if name.startswith("on")]
    assert html.escape("<img src=x onerror=alert(1)>") in text
    assert "\x00" not in text and "\x1b" not in text


class Tags(HTMLParser):
    """Names of all elements and attributes of a page."""

    def __init__(self, text):
        super().__init__()
        self.found, self.attributes, self.ids, self.targets = [], [], set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.attributes += [name for name, _ in attrs]
        values = dict(attrs)
        self.ids |= {values["id"]} if "id" in values else set()
        if tag == "a":
            self.targets.add(values["href"].removeprefix("#"))


def test_the_page_asks_for_nothing_and_every_link_leads_somewhere(log):
    text = page(log)
    assert "http:" not in text and "https:" not in text and "url(" not in text
    tags = Tags(text)
    assert not {"link", "iframe", "object", "embed", "form", "base"} & set(tags.found)
    assert "src" not in tags.attributes
    assert tags.targets and tags.targets <= tags.ids
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_every_event_is_in_the_table_with_its_bytes(log):
    text = page(log)
    rows = re.findall(r'<tr id="e\d+"', text)
    assert len(rows) == len(list(read_events(log.path)))
    assert ("d184" * 40) in text


def test_an_empty_log_gives_a_clear_page():
    text = render([], None)
    assert "The event log is empty" in text and "<script>" in text


@pytest.mark.parametrize(
    "event",
    [
        {},
        {
            "t_ns": "x",
            "lane_from": 3,
            "lane_to": None,
            "kind": [],
            "uuid": 7,
            "name": {},
            "ok": 0,
            "detail": [1],
            "raw": 5,
        },
        {"t_ns": 10**30, "name": "device.taf7", "detail": {"values": [{"raw": "1"}], "seq": True}},
        {
            "t_ns": -5,
            "name": "device.taf16",
            "uuid": "\ud800",
            "detail": {
                "seq": 1,
                "captured_ms": 10**20,
                "values": [{"obis": "1-0:1.8.0*255", "raw": 1, "scaler": 10**9, "unit": 30}],
            },
        },
        {"t_ns": 1, "name": "load.power", "detail": {"power_w": 10**400}},
    ],
)
def test_strange_events_are_shown_and_never_fail(event, tmp_path):
    write_report(
        [event, dict(event)],
        {"transactions": [3], "checks": 5, "names": []},
        tmp_path / "report.html",
    )
    assert '<tr id="e1"' in (tmp_path / "report.html").read_text()


def test_a_record_seen_twice_counts_once(log):
    events = list(read_events(log.path))
    series = Series.of(events + events)
    assert len(series.device) == 9 and len(series.quarters) == 4
    first = series.recorded[0]
    assert first.energy(DEVICE) == Energy(210, 1) and first.energy(GATEWAY) == Energy(20920, -1)


def test_records_without_legal_time_are_counted_not_drawn(log):
    log.tell(
        70,
        "DICAMM",
        "DICAMM",
        "record",
        "device.taf16",
        uuid=FIRST,
        detail={"seq": 50, "captured_ms": None, "values": []},
    )
    log.tell(71, "operator", "operator", "check", "x")
    assert "not drawn: 1 record without register or legal time" in page(log)


@pytest.mark.parametrize("span_ms", [0, 1, 999, 60_000, 7_200_000, 86_400_000 * 40, 10**12])
def test_the_time_axis_has_few_round_ticks_inside(span_ms):
    scale = TimeScale.around((T0_MS, T0_MS + span_ms), 80, 1000)
    ticks, _ = scale.ticks()
    assert 1 <= len(ticks) <= 16
    assert scale.from_ms <= min(ticks) and max(ticks) <= scale.to_ms
    assert 80 <= scale.x(T0_MS) <= scale.x(T0_MS + span_ms) <= 1080


@pytest.mark.parametrize("highest", [0, 0.1, 3, 999, 1500, 6240, 10**9])
def test_the_value_axis_has_few_ticks_and_room_for_the_highest(highest):
    scale = ValueScale.up_to(highest, 100, 80)
    assert 2 <= len(scale.ticks()) <= 7
    assert 20 <= scale.y(highest) <= 100


def test_the_command_draws_the_report_and_names_what_is_wrong(log, tmp_path):
    out = tmp_path / "out.html"
    result = tmp_path / "result.json"
    result.write_text(json.dumps({"checks": [{"name": "a", "ok": True, "detail": "b"}]}))
    done = CliRunner().invoke(report, [str(log.path), "--result", str(result), "--out", str(out)])
    assert done.exit_code == 0 and done.output.strip() == str(out)
    assert "✓ The one check holds" in out.read_text()
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    for arguments in (
        ["none.jsonl"],
        [str(broken)],
        [str(log.path), "--result", str(broken) + "x"],
        [str(log.path), "--out", str(tmp_path / "no" / "dir.html")],
    ):
        assert isinstance(CliRunner().invoke(report, arguments).exception, BadInput)
