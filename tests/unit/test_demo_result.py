"""The demo's result in JSON, in files and in words: the same figures in each."""

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from demo_kit import LOAD_W, A, B, at_ms, device_fields, evidence, outcome, sealed_chain
from verify_kit import KEY

from clsbench.clock import iso
from clsbench.demo.checks import run_checks
from clsbench.demo.result import document, seconds, summary, write_files
from clsbench.demo.run import DemoOptions, DemoResult
from clsbench.device.records import open_record


def result_of(**changed) -> DemoResult:
    found = evidence(**changed)
    return DemoResult(
        found, run_checks(found), DemoOptions(Path("out")), {"cls": "ETST0020000017"}
    )


def words(result: DemoResult) -> str:
    return "\n".join(summary(document(result), result.checks, Path("out")))


def test_the_document_is_json_and_tells_what_both_witnesses_saw():
    told = json.loads(json.dumps(document(result_of())))
    assert told["ok"] is True
    first = told["transactions"][0]
    assert (first["uuid"], first["name"], first["complete"]) == (A, "wind", True)
    assert (first["begin"], first["end"]) == (iso(at_ms(5)), iso(at_ms(26)))
    assert (first["device_dwh"], first["gateway_dwh"], first["bound_dwh"]) == (21000, 20984, 152)
    assert told["quarter_hours"][1] == {
        "from": iso(at_ms(15)),
        "to": iso(at_ms(30)),
        "total_dwh": 11_000,
        "parts": [{"uuid": A, "energy_dwh": 11_000}],
    }
    witnesses = [record["witness"] for record in told["records"]]
    assert witnesses == ["device"] * 12 + ["gateway"] * 7
    assert told["latency_ms"] == {
        "command_to_relay": [12.0, 15.0],
        "command_to_record": [40.0, 40.0],
    }


def test_one_check_that_fails_fails_the_document():
    told = document(result_of(broken=["record 3: seal does not fit"]))
    assert told["ok"] is False
    assert [check["name"] for check in told["checks"] if not check["ok"]] == [
        "device_records_verify"
    ]


def test_an_incomplete_transaction_has_no_energies():
    fields = device_fields()
    result = result_of(device=sealed_chain(fields[:7] + fields[8:]))  # without the end of B
    told = document(result)["transactions"]
    assert [one["complete"] for one in told] == [True, False]
    assert told[1]["uuid"] == B and told[1]["device_dwh"] is None
    lines = words(result).splitlines()
    at = next(index for index, line in enumerate(lines) if B in line)
    assert [line.split()[-1] for line in lines[at + 1 : at + 3]] == ["-", "-"]


def test_the_bound_stands_in_words_with_every_figure():
    assert (
        "apart                       1.6 Wh   at most 15.2 Wh: readings 1.0 s and 1.0 s apart, "
        "clock within 0.1 s and 0.1 s, on their way 1.0 s, at most 6000 W, resolution 10.1 Wh"
    ) in words(result_of())


@pytest.mark.parametrize("latency_ms", [0, 1, 49, 1234, 61_001])
@pytest.mark.parametrize("power_w", [1, LOAD_W, 34_500])
def test_the_figures_in_words_give_the_bound_in_figures(latency_ms, power_w):
    """Each span is rounded up by less than a tenth of a second, nothing else is."""
    text = words(result_of(latency_ms=latency_ms, max_power_w=power_w))
    (shown, spans, watts, digits), *_ = re.findall(
        r"at most ([\d.]+) Wh: (readings .*?), at most (\d+) W, resolution ([\d.]+) Wh", text
    )
    seconds_in_all = sum(map(Fraction, re.findall(r"([\d.]+) s", spans)))
    assert len(re.findall(r"[\d.]+ s", spans)) == 5
    said = seconds_in_all * int(watts) / 3600 + Fraction(digits)
    rounding = Fraction(5, 10) * int(watts) / 3600
    assert said - rounding < Fraction(shown) < said + Fraction(1, 10)


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(0, "0.0 s"), (1, "0.1 s"), (100, "0.1 s"), (4501, "4.6 s"), (99_901, "100.0 s")],
)
def test_a_span_is_rounded_up_to_a_tenth_of_a_second(ms, shown):
    assert seconds(ms) == shown


def test_a_failing_check_is_marked_and_counted_in_words():
    text = words(result_of(outcome=outcome(refusal="NOT REFUSED: {}")))
    assert re.search(r"✗ foreign_cls_refused +NOT REFUSED: \{\}", text)
    assert "12 of 13 checks hold" in text and text.count("✓") == 12


def test_energy_of_the_household_is_named_in_words():
    assert "household" not in words(result_of())
    text = words(result_of(house_dwh=lambda begin, end: 123))
    assert re.search(r"of it the household +12\.3 Wh", text)


def test_files_hold_the_records_byte_for_byte_and_the_document(tmp_path):
    result = result_of()
    told = write_files(result, tmp_path)
    assert json.loads((tmp_path / "result.json").read_text()) == told
    device = sorted((tmp_path / "device-records").glob("*.cbor"))
    assert [path.name for path in device][:3] == [
        "000001-taf7.cbor",
        "000002-taf16.cbor",
        "000003-taf7.cbor",
    ]
    opened = [open_record(path.read_bytes(), KEY) for path in device]
    assert opened == result.evidence.device
    beside = json.loads(device[1].with_suffix(".json").read_text())
    assert beside == opened[1].document()
    gateway = tmp_path / "gateway-records"
    assert len(list(gateway.glob("*.cms.der"))) == len(list(gateway.glob("*.json"))) == 7
    for record in result.evidence.gateway:
        stem = gateway / f"{record.content['profile_id']}-{record.content['seq']:06d}"
        assert stem.with_suffix(".cms.der").read_bytes() == record.cms


def test_untimed_readings_are_shown_without_a_bound():
    sound = evidence()
    untimed = [replace(record, captured_ms=None) for record in sound.device]
    result = result_of(device=untimed)
    told = document(result)["transactions"][0]
    assert told["ok"] is False and told["device_dwh"] == 21_000 and "bound_dwh" not in told
    assert "2100.0 Wh" in words(result)
