"""`clsbench settle` from files and stores: results, exit codes, versions, explanations."""

import hashlib
import json
import sqlite3
import sys

import pytest
import worked
from record_stores import START_MS, A, gateway_record, run, sealed

from clsbench.emt.store import DeviceRecord, EmtStore, GatewayRecord
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.settlement.document import read_point
from clsbench.settlement.reaction import reactions
from clsbench.settlement.sections import settle_point

CASES = {case["id"]: case for case in worked.cases()}


@pytest.fixture
def document(tmp_path):
    def write(name, change=lambda body: None):
        path = tmp_path / f"{name}.json"
        whole = worked.document(CASES[name])
        change(whole["input"])
        path.write_text(json.dumps(whole), encoding="utf-8")
        return path

    return write


def test_json_is_one_document_and_a_doubt_is_exit_code_1(document):
    code, out = run("--json", document("r06-overlap"))
    assert code == 1
    assert {each["code"] for each in json.loads(out)["findings"]} == {"overlap"}
    code, out = run(document("r05-two-in-a-row"), "--json")
    assert code == 0 and json.loads(out)["policy"]["substitute"] == "none"


def test_text_tells_transaction_group_day_and_doubt(document):
    code, out = run(document("r06-overlap"))
    assert code == 1
    for word in (A, "WIND", "overlap", "0.050", "2026-05-04", "What to do"):
        assert word in out
    assert "!" * 5 in out  # the doubtful stretch in the picture


def test_policy_window_and_groups_from_the_command_line(document, tmp_path):
    path = document("r11-missing-boundary-without-policy")
    groups = tmp_path / "groups.toml"
    groups.write_text('rest = "R"\ndelta = "D"\n', encoding="utf-8")
    window = ("--to", "2026-05-04T08:30:00Z")
    _code, out = run(path, "--json", "--policy", "substitute=linear", *window, "--groups", groups)
    result = json.loads(out)
    assert result["totals"] == {"import": {"R": 160}} and len(result["slots"]) == 2


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda body: body["window"].update({"from": "2026-05-04T08:01:00Z"}), "window.from"),
        (lambda body: body["series"][0]["readings"][0].update(raw=1.5), r"readings\[0\].raw"),
        (lambda body: body["events"][0].update(uuid=None), r"events\[0\]"),
        (lambda body: body["policy"].update(substitute="guess"), "policy.substitute"),
        (lambda body: body.update(mode="guess"), "input.mode"),
        (lambda body: body["groups"].pop("delta"), "groups.delta"),
    ],
)
def test_bad_input_names_its_place(document, change, place):
    with pytest.raises(BadInput, match=place):
        run("--json", document("r06-overlap", change))


def test_svg_and_html_hold_the_sections(document, tmp_path):
    run(document("r06-overlap"), "--svg", tmp_path / "p.svg", "--html", tmp_path / "p.html")
    svg = (tmp_path / "p.svg").read_text(encoding="utf-8")
    assert svg.count("<rect") == 5  # rest, A, both, B, rest
    assert A in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_csv_gives_the_same_as_the_document_it_was_exported_from(document, tmp_path):
    path = document("r08-event-without-legal-time")
    run("export", tmp_path / "series.csv", path)
    groups = tmp_path / "groups.json"
    groups.write_text(json.dumps(worked.document(CASES["r05-two-in-a-row"])["input"]["groups"]))
    _code, first = run("--json", path)
    _code, second = run("--json", tmp_path / "series.csv", "--groups", groups)
    one, two = json.loads(first), json.loads(second)
    for key in ("slots", "transactions", "totals", "days"):
        assert one[key] == two[key]


def test_csv_faults_name_file_and_line(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("row,t,raw,obis\nreading,2026-05-04T08:00:00Z,1.5,1-0:1.8.0\n")
    with pytest.raises(BadInput, match="bad.csv line 2, raw"):
        run(path)


XML = """<UsagePoints xmlns="http://vde.de/AR_2418-6.xsd" xmlns:espi="http://naesb.org/espi">
<UsagePoint><MeterReading><Meter><meterId>1EAS0012345678</meterId></Meter><ReadingType>
<espi:powerOfTenMultiplier>0</espi:powerOfTenMultiplier><espi:uom>72</espi:uom>
<scaler>-1</scaler><obisCode>0100010800ff</obisCode></ReadingType><IntervalBlock>
<IntervalReading><espi:value>10000</espi:value><timePeriod><duration>0</duration>
<start>2026-05-04T09:59:59+02:00</start></timePeriod>
<targetTime>2026-05-04T10:00:00+02:00</targetTime><statusPTB>0</statusPTB></IntervalReading>
<IntervalReading><espi:value>10345</espi:value><timePeriod><duration>0</duration>
<start>2026-05-04T10:15:02+02:00</start></timePeriod><statusPTB>2</statusPTB></IntervalReading>
</IntervalBlock></MeterReading></UsagePoint></UsagePoints>"""


def test_xml_of_ar_2418_6_is_settled(tmp_path):
    path = tmp_path / "taf7.xml"
    path.write_text(XML, encoding="utf-8")
    _code, out = run("--json", path)
    (slot,) = json.loads(out)["slots"]
    assert (slot["start"], slot["total"], slot["quality"]) == (
        "2026-05-04T08:00:00Z",
        345,
        "substitute",
    )


def test_xml_with_a_document_type_is_refused(tmp_path):
    path = tmp_path / "taf7.xml"
    path.write_text('<!DOCTYPE x [<!ENTITY y "z">]><x/>', encoding="utf-8")
    with pytest.raises(BadInput, match="document type"):
        run(path)


def test_a_late_reading_makes_a_version_whose_change_adds_up(document, tmp_path):
    late = {"t": "2026-05-04T08:15:00Z", "raw": 1100}
    path = document("r11-missing-boundary-without-policy")
    run(path, "--json", "--keep", tmp_path / "kept")
    run(path, "--json", "--keep", tmp_path / "kept")
    path = document(
        "r11-missing-boundary-without-policy",
        lambda body: body["series"][0]["readings"].append(late),
    )
    run(path, "--json", "--keep", tmp_path / "kept")
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == ["0001.json", "0002.json"]
    code, out = run("diff", tmp_path / "kept", "--json")
    told = json.loads(out)
    assert code == 1 and told["adds_up"] and told["totals"] == {"import": 160}
    assert [part["change"] for part in told["parts"]] == [100, 60]
    assert [gone[0] for gone in told["findings_gone"]] == ["missing_boundary"]
    code, out = run("diff", tmp_path / "kept" / "0002.json", tmp_path / "kept" / "0002.json")
    assert code == 0 and out == "Nothing changed.\n"


def test_explain_names_readings_and_rules(document):
    path = document("r11-line-from-an-event")
    _code, out = run("explain", "2026-05-04T08:00:00Z", path)
    for word in ("1000", "1060", "1100", "R11", "missing_boundary"):
        assert word in out
    _code, out = run("explain", A, path)
    assert "1100 - 1060 = 40" in out
    with pytest.raises(BadInput, match="neither a transaction"):
        run("explain", "nothing", path)


# record stores


@pytest.fixture
def store(tmp_path):
    """An aEMT's store: A ran from 08:05 to 08:20 by both witnesses."""
    path = tmp_path / "emt.sqlite"
    emt = EmtStore(path)
    previous = bytes(8)
    rows = [(0, 1000, None), (5, 1030, 1), (15, 1100, None), (20, 1120, 2), (30, 1160, None)]
    for seq, (minute, raw, event) in enumerate(rows, 1):
        data = sealed(seq, minute, raw, event, previous)
        previous = hashlib.sha256(data).digest()[:8]
        owner = A if event else None
        emt.add_device_record(DeviceRecord("ETST0020000017", seq, owner, None, data, True, 0))
    found = [
        gateway_record("taf7", n + 1, m, r)
        for n, (m, r) in enumerate(((0, 50_000), (15, 51_000), (30, 51_600)))
    ]
    found.append(gateway_record("taf16", 1, 5, 50_304, "begin", late_ms=400))
    found.append(gateway_record("taf16", 2, 20, 51_206, "end", late_ms=900))
    for content in found:
        raw = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        key = (content["smgw_id"], content["profile_id"], content["seq"])
        row = (content.get("uuid"), content["type"], raw, b"0" + raw, 0)
        emt.add_gateway_record(GatewayRecord(*key, *row))
    emt.close()
    return path


def test_both_witnesses_settle_from_one_store(store):
    _code, out = run("--db", store, "--json", "--witness", "device")
    assert json.loads(out)["transactions"][0]["energy"] == {"import": 90}
    _code, out = run("--db", f"sqlite:///{store}", "--json")
    assert json.loads(out)["transactions"][0]["energy"] == {"import": 902}


def test_compare_explains_the_difference_of_the_witnesses(store):
    code, out = run("compare", "--db", store, "--json")
    (one,) = json.loads(out)
    assert code == 0
    assert (one["device"], one["gateway"], one["difference"]) == (900, 902, 2)
    assert one["cause"] == "resolution" and one["shift_ms"] == 500


def test_compare_calls_a_fault_what_nothing_explains(store):
    database = sqlite3.connect(store)
    query = "UPDATE gateway_records SET content = CAST(replace(content, ?, ?) AS BLOB)"
    database.execute(query, ("50304", "50404"))
    database.commit()
    database.close()
    code, out = run("compare", "--db", store)
    assert code == 1 and "a fault" in out


def powers(*events):
    """A document: nothing until 08:05, 2 kW until 08:10, nothing behind it."""
    case = {"id": "powers", "window": "08:00 08:15", "import": "08:00=0 08:15=167"}
    return worked.document({**case, "events": list(events)})


@pytest.mark.parametrize(
    ("events", "verdicts"),
    [
        (("1 begin A 08:05 i=0", "2 end A 08:10 i=167"), ["obeyed", "obeyed"]),
        (("1 begin A 08:10 i=167", "2 end A 08:12 i=167"), ["did_not", "did_not"]),
        (("1 begin A 08:05 i=0", "2 end A 08:05:30 i=16"), ["cannot_be_told"] * 2),
        (("1 begin A 08:05 i=0 time=bad",), ["cannot_be_told"]),
    ],
)
def test_reaction_tells_obeyed_from_not(tmp_path, events, verdicts):
    path = tmp_path / "powers.json"
    path.write_text(json.dumps(powers(*events)), encoding="utf-8")
    code, out = run("reaction", path, "--expected-w", "2000", "--json")
    assert [each["verdict"] for each in json.loads(out)] == verdicts
    assert code == (1 if "did_not" in verdicts else 0)


def test_reaction_late_behind_the_command():
    settled = settle_point(
        read_point(powers("1 begin A 08:05 i=0", "2 end A 08:10 i=167")["input"])
    )
    given = {(A, "begin"): START_MS + 299_000, (A, "end"): START_MS + 590_000}
    found = reactions(settled, expected_w=2000, commands=given, late_after_ms=5000)
    assert [(each.verdict, each.late_ms) for each in found] == [
        ("obeyed", 1_000),
        ("obeyed_late", 10_000),
    ]


def test_parquet_gives_the_same_as_the_document(document, tmp_path):
    path = document("r05-two-in-a-row")
    run("export", tmp_path / "series.parquet", path)
    _code, first = run("--json", path)
    _code, out = run("--json", tmp_path / "series.parquet")
    assert [s["total"] for s in json.loads(out)["slots"]] == [
        s["total"] for s in json.loads(first)["slots"]
    ]


def test_parquet_without_its_library_says_what_to_install(document, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    with pytest.raises(EnvironmentProblem, match=r"clsbench\[settlement\]"):
        run("export", tmp_path / "series.parquet", document("r05-two-in-a-row"))
