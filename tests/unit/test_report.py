"""The HTML report: everything in it comes from the event log, exact, and nothing is left out."""

import json
import re

import pytest
from click.testing import CliRunner
from report_kit import FIRST, SECOND, Log, full_log, page, section

from clsbench.cli.report import report
from clsbench.errors import BadInput
from clsbench.eventlog import read_events
from clsbench.report.quantity import Energy
from clsbench.report.series import DEVICE, GATEWAY, Series


@pytest.fixture
def log(tmp_path):
    return full_log(tmp_path / "events.jsonl")


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


def test_every_event_is_in_the_table_with_its_bytes(log):
    text = page(log)
    rows = re.findall(r'<tr id="e\d+"', text)
    assert len(rows) == len(list(read_events(log.path)))
    assert ("d184" * 40) in text


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
