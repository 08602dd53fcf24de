"""`clsbench demo` from the command line: its document, its files, its refusals.

A run takes half a minute; those that do not need each other run side by side, twice.
"""

import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from clsbench.meters.device_id import server_id
from clsbench.meters.sml_encode import obis_bytes, telegram

SPEED = "240"
WITHIN_S = 280
CORPUS = Path(
    os.environ.get("CLSBENCH_CORPUS", Path(__file__).parents[2].parent / "shared" / "corpus")
)
CAPTURES = ["EMH_eHZ-HW8E2A5L0EK2P.bin", "ISKRA_MT175_D1A52-V22-K0t.bin"]
HAVE_CAPTURES = all((CORPUS / "sml" / name).is_file() for name in CAPTURES)
IMPORT = obis_bytes("1-0:1.8.0*255")
RAWS = range(7_000_000, 7_000_600, 60)  # the registers of our own capture

COMMON_CHECKS = {
    "device_records_verify",
    "gateway_records_verify",
    "sequences_gapless",
    "both_witnesses",
    "quarter_hours_add_up",
    "registers_as_served",
    "load_only_commanded",
    "records_delivered",
    "foreign_cls_refused",
    "altered_record_detected",
    "altered_gateway_record_detected",
    "command_latency",
}


@dataclass
class Run:
    """One `clsbench demo --json`, started; `finish` waits for it."""

    out: Path
    process: subprocess.Popen
    log: Path
    code: int = -1
    printed: str = ""

    def finish(self) -> "Run":
        try:
            self.printed, _ = self.process.communicate(timeout=WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.code = self.process.returncode
        return self

    @property
    def document(self) -> dict:
        """The JSON document it printed; fails the test with the checks that do not hold."""
        document = json.loads(self.printed)
        bad = [check for check in document["checks"] if not check["ok"]]
        assert self.code == 0, (bad, self.log.read_text()[-2000:])
        return document


def start(out: Path, *options: str) -> Run:
    """Starts a demo into `out`."""
    log = (
        out.parent / f"{out.name}{len(options)}.log"
    )  # beside the folder, which is the demo's own
    command = [sys.executable, "-m", "clsbench", "demo", "--json", "--speed", SPEED]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*command, "--out", str(out), *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            text=True,
        )
    return Run(out, process, log)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(folder):
    """The plain demo, and one with a capture of our own beside it."""
    capture = folder / "capture.sml"
    capture.write_bytes(
        b"\x1b\x1b\x1b\x1b\x01 noise before the first telegram"
        + b"".join(
            telegram(server_id("1EMH0098765432"), [(IMPORT, raw, -1, 30, 0x1C0104)], n, n)
            for n, raw in enumerate(RAWS, 1)
        )
    )
    runs = {"plain": start(folder / "plain"), "capture": start_capture(folder, "own", capture)}
    return {name: run.finish() for name, run in runs.items()}


@pytest.fixture(scope="module")
def second(folder, first):
    """The house into the folder of the plain demo, and the captures of the corpus beside it."""
    kept = {path: path.stat().st_mtime_ns for path in files(folder / "plain")}
    runs = {"house": start(folder / "plain", "--scenario", "house")}
    if HAVE_CAPTURES:
        for name in CAPTURES:
            runs[name] = start_capture(folder, name, CORPUS / "sml" / name)
    return {"kept": kept} | {name: run.finish() for name, run in runs.items()}


def start_capture(folder: Path, name: str, capture: Path) -> Run:
    return start(folder / f"capture-{name}", "--lmn-capture", str(capture))


def files(out: Path) -> list[Path]:
    """Every file of a demo's folder, its mark and sockets left out."""
    return [path for path in out.rglob("*") if path.is_file() and path.name != ".clsbench-demo"]


def test_the_document_says_that_all_is_well(first):
    document = first["plain"].document
    assert document["ok"] is True
    assert {check["name"] for check in document["checks"]} == COMMON_CHECKS | {"witnesses_agree"}
    assert all(check["ok"] and check["detail"] for check in document["checks"])
    assert len(document["transactions"]) >= 2
    assert all(one["complete"] and one["device_dwh"] > 0 for one in document["transactions"])
    witnesses = [record["witness"] for record in document["records"]]
    assert witnesses.count("device") >= 12 and witnesses.count("gateway") >= 12


def test_the_same_uuid_stands_in_the_records_of_both_witnesses(first):
    document = first["plain"].document
    for one in document["transactions"]:
        told = [
            (record["witness"], record["event"])
            for record in document["records"]
            if record.get("uuid") == one["uuid"]
        ]
        assert sorted(told) == [
            ("device", "begin"),
            ("device", "end"),
            ("gateway", "begin"),
            ("gateway", "end"),
        ]


def test_what_was_printed_lies_in_the_folder_with_every_record(first):
    run = first["plain"]
    content = sorted(path.relative_to(run.out).as_posix() for path in run.out.glob("*"))
    assert {"report.html", "result.json", "events.jsonl"} <= set(content)
    assert json.loads((run.out / "result.json").read_text()) == run.document
    device = [r for r in run.document["records"] if r["witness"] == "device"]
    gateway = [r for r in run.document["records"] if r["witness"] == "gateway"]
    assert len(list((run.out / "device-records").glob("*.cbor"))) == len(device)
    assert len(list((run.out / "gateway-records").glob("*.cms.der"))) == len(gateway)
    events = [json.loads(line) for line in (run.out / "events.jsonl").read_text().splitlines()]
    assert {event["kind"] for event in events} == {"message", "record", "state", "fault", "check"}
    assert (run.out / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_keys_are_their_owners_alone_and_stand_in_no_other_file(first):
    out = first["plain"].out
    keys = [path for path in files(out) if ".key" in path.name]
    assert len(keys) > 10
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    flash = [path for path in files(out) if path.name in ("flash.littlefs", "record.nor")]
    assert len(flash) == 2  # the board's own, which hold its keys, as on any board
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in flash)
    (record_key,) = [path.read_bytes() for path in keys if path.name == "records.key"]
    for path in files(out):
        if path in keys or path in flash:
            continue
        content = path.read_bytes()
        assert record_key not in content and record_key.hex().encode() not in content, path
        assert b"PRIVATE KEY" not in content, path


def test_a_capture_is_the_base_meter(first):
    document = first["capture"].document
    assert {check["name"] for check in document["checks"]} == COMMON_CHECKS | {"capture_digits"}
    raws = {
        value["raw"]
        for record in document["records"]
        if record["witness"] == "gateway"
        for value in record["values"]
    }
    assert raws and raws <= set(RAWS)


def test_a_folder_of_strangers_is_left_alone(folder):
    out = folder / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    done = start(out).finish()
    assert done.code == 2 and done.printed == ""
    assert "--out" in done.log.read_text() and "not empty" in done.log.read_text()
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--lmn-capture", "/does/not/exist"], "--lmn-capture"),
        (["--lmn-capture", __file__], "holds no whole SML telegram"),
        (["--scenario", "castle"], "--scenario"),
        (["--speed", "1000"], "--speed"),
        (["--board", "toaster"], "--board"),
    ],
)
def test_a_senseless_option_is_named_and_leaves_no_folder(folder, options, reason):
    out = folder / f"senseless{options[0]}"
    done = start(out, *options).finish()
    assert done.code == 2 and done.printed == ""
    assert reason in done.log.read_text()
    assert not out.exists()


def test_a_second_run_replaces_the_first_in_its_folder(second):
    document = second["house"].document
    out = second["house"].out
    assert document["scenario"] == "house" and document["ok"] is True
    assert {check["name"] for check in document["checks"]} == COMMON_CHECKS | {"witnesses_agree"}
    assert all(one["others_dwh"] > 0 for one in document["transactions"])
    left = [
        path
        for path, before in second["kept"].items()
        if path.exists() and path.stat().st_mtime_ns == before
    ]
    assert left == []
    device = [record for record in document["records"] if record["witness"] == "device"]
    assert len(list((out / "device-records").glob("*.cbor"))) == len(device)


@pytest.mark.corpus
@pytest.mark.skipif(not HAVE_CAPTURES, reason=f"no telegrams in {CORPUS} (set CLSBENCH_CORPUS)")
@pytest.mark.parametrize("name", CAPTURES)
def test_a_real_meters_telegrams_serve_as_the_base_meter(second, name):
    document = second[name].document
    (digits,) = [check for check in document["checks"] if check["name"] == "capture_digits"]
    assert digits["ok"] and document["ok"]
