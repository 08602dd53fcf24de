"""The board commands as a person runs them: `python -m clsbench` against a DICAMM on a pty.

Real firmware on the unix board, a MID meter on its bus, no gateway. One board for all tests;
each leaves it running without an open transaction.
"""

import asyncio
import json
import re
import select
import signal
import subprocess
import time
import uuid

import pytest
from cli_board_kit import COMMAND, METER, running

from clsbench.bench.plant import PIN_RELAY
from clsbench.device.link import LinkClient
from clsbench.pki.layout import DEFAULT_CLS

pytestmark = [pytest.mark.hil, pytest.mark.usefixtures("between_quarter_hours")]


@pytest.fixture(scope="module")
def dicamm(tmp_path_factory):
    with running(tmp_path_factory.mktemp("dicamm")) as started:
        yield started


# status


def test_status_tells_relay_journal_meter_time_and_heap(dicamm):
    state = dicamm.json("status")
    assert state["device"]["device_id"] == DEFAULT_CLS and state["device"]["meter_id"] == METER
    assert state["relay_closed"] is False and state["open_uuid"] is None
    assert state["meter"]["healthy"] is True and state["meter"]["error_text"] == ""
    assert state["restarts"].keys() >= {"bus", "meter", "control", "link"}
    assert not any(state["restarts"].values())
    shown = dicamm.run("status").stdout
    assert f"DICAMM {DEFAULT_CLS} on board unix" in shown
    assert f"meter          {METER} healthy; " in shown and "transaction    none open" in shown


def test_status_names_the_fault_of_a_silent_meter(dicamm):
    dicamm.plant.meter.stop()
    try:
        deadline = time.monotonic() + 40
        while "FAILED" not in (shown := dicamm.run("status").stdout):
            assert time.monotonic() < deadline, shown
        assert "the meter did not answer (code 20 METER_TIMEOUT)" in shown
        refused = dicamm.run("switch", "begin", code=1)
        assert "(code 5 METER_UNHEALTHY)" in refused.stderr
    finally:
        dicamm.plant.meter.start()
        dicamm.wait_for_meter()


# time


def test_time_is_shown_given_and_kept_when_better_than_an_offer(dicamm):
    dicamm.restart()
    unset = dicamm.json("time")
    assert (unset["state"], unset["device_utc_ms"], unset["deviation_ms"]) == ("unset", None, None)
    given = dicamm.json("time", "--set", "--bound", "200")
    assert given["state"] == "synchronised" and given["bound_ms"] >= 200
    assert abs(given["deviation_ms"]) <= 200 + given["uncertainty_ms"]
    worse = dicamm.run("time", "--set", "--bound", "5000", code=1)
    assert "kept its own time" in worse.stderr and "--bound MS" in worse.stderr
    shown = dicamm.run("time").stdout
    assert re.search(r"synchronised, within 20\d ms", shown), shown  # 200 and what drift adds


def test_device_further_off_than_it_says_is_a_finding(dicamm):
    async def give_wrong_time():
        link = await LinkClient.open(dicamm.path)
        await link.hello()
        await link.set_time(time.time_ns() // 1_000_000 - 60_000, 1)
        await link.close()

    dicamm.restart()
    asyncio.run(give_wrong_time())
    found = dicamm.json("time", code=1)
    assert -61_000 < found["deviation_ms"] < -59_000
    # 1 and what drift adds
    assert re.search(r"ms apart, although the device states a bound of [1-9] ms", found["problem"])


# switch


def test_transaction_begins_once_and_ends(dicamm):
    identity = str(uuid.uuid4())
    begin = dicamm.json("switch", "begin", "--uuid", identity, "--text", "Grüße")
    assert begin["ok"] and begin["uuid"] == identity and 0 < begin["latency_ms"] < 5000
    assert dicamm.board.pin(PIN_RELAY) == 1
    again = dicamm.run("switch", "begin", "--uuid", identity)
    assert again.stdout.startswith("begin already done  uuid " + identity)
    assert f"record {begin['seq']} " in again.stdout
    end = dicamm.json("switch", "end")
    assert (end["uuid"], end["seq"]) == (identity, begin["seq"] + 1)
    assert dicamm.board.pin(PIN_RELAY) == 0
    assert dicamm.json("switch", "end", "--uuid", identity)["seq"] == end["seq"]
    assert dicamm.json("status")["journal"]["newest"] == end["seq"]


def test_refusals_exit_1_with_the_codes_text(dicamm):
    begin = dicamm.json("switch", "begin")
    other = dicamm.run("switch", "begin", code=1)
    assert other.stdout == "" and "another transaction is open (code 3 OTHER_OPEN)" in other.stderr
    wrong = dicamm.json("switch", "end", "--uuid", str(uuid.uuid4()), code=1)
    assert wrong["ok"] is False and wrong["code"] == 4 and wrong["seq"] > begin["seq"]
    assert dicamm.json("status")["open_uuid"] == begin["uuid"]
    dicamm.json("switch", "end")
    assert "has no open transaction to end" in dicamm.run("switch", "end", code=1).stderr
    long = dicamm.run("switch", "begin", "--text", "x" * 65, code=1)
    assert "longer than 64 bytes" in long.stderr


# records


def test_records_are_listed_fetched_verified_and_acknowledged(dicamm, tmp_path):
    identity = dicamm.transaction()
    key = ["--key", str(dicamm.key_file)]
    unchecked = dicamm.run("records").stdout
    assert identity in unchecked and "seal not checked" in unchecked
    out = tmp_path / "records"
    found = dicamm.json("records", *key, "--out", str(out), "--ack")
    newest = found["records"][-1]
    assert found["ok"] and found["seal"] == "checked" and found["acknowledged"] == newest["seq"]
    assert (newest["uuid"], newest["event"]) == (identity, "end")
    stem = out / f"{newest['seq']:06d}-taf16"
    assert stem.with_suffix(".cbor").read_bytes().hex() == newest["sealed"]
    assert json.loads(stem.with_suffix(".json").read_text())["uuid"] == identity
    assert dicamm.json("status")["journal"]["unacknowledged"] == 0
    verified = subprocess.run([*COMMAND, "verify", str(out), *key], capture_output=True, text=True)
    assert verified.returncode == 0 and "findings: 0" in verified.stdout
    dicamm.run("records", *key, "--out", str(out))  # what is there already stays
    later = dicamm.json("records", "--from", str(newest["seq"]))
    assert [record["seq"] for record in later["records"]] == [newest["seq"]]


def test_wrong_key_and_foreign_folder_are_findings_before_anything_is_acknowledged(
    dicamm, tmp_path
):
    dicamm.transaction()
    owed = dicamm.json("status")["journal"]["unacknowledged"]
    assert owed >= 2
    (tmp_path / "wrong").write_bytes(bytes(32))
    wrong = ["--key", str(tmp_path / "wrong")]
    found = dicamm.json("records", *wrong, "--out", str(tmp_path / "a"), "--ack", code=1)
    assert found["acknowledged"] is None and "does not fit" in found["findings"][0]
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "000001-taf16.cbor").write_bytes(b"of another device")
    right = ["--key", str(dicamm.key_file)]
    foreign = dicamm.run("records", *right, "--out", str(folder), "--ack", code=2)
    assert "000001-taf16.cbor: holds another record with this number" in foreign.stderr
    assert "needs --out" in dicamm.run("records", "--ack", code=2).stderr
    assert "--key FILE" in dicamm.run("records", "--out", str(folder), "--ack", code=2).stderr
    assert dicamm.json("status")["journal"]["unacknowledged"] == owed


def test_a_data_base_takes_each_record_once_and_acknowledges_what_it_holds(dicamm, tmp_path):
    dicamm.transaction()
    db, key = str(tmp_path / "records.sqlite"), ["--key", str(dicamm.key_file)]
    first = dicamm.json("records", "--db", db, *key)
    assert first["ok"] and first["given_way"] is None and first["acknowledged"] >= 2
    assert dicamm.json("status")["journal"]["unacknowledged"] >= 2
    dicamm.transaction()
    second = dicamm.json("records", "--db", db, *key, "--ack")
    assert len(second["stored"]) >= 2 and min(second["stored"]) == first["acknowledged"] + 1
    assert second["given_way"] == second["acknowledged"] == max(second["stored"])
    assert dicamm.json("status")["journal"]["unacknowledged"] == 0
    verified = subprocess.run([*COMMAND, "verify", "--db", db, *key], capture_output=True)
    assert verified.returncode == 0, verified.stdout
    assert "needs" in dicamm.run("records", "--db", db, "--ack", code=2).stderr
    (tmp_path / "wrong").write_bytes(bytes(32))
    wrong = ["--key", str(tmp_path / "wrong")]
    other = str(tmp_path / "other.sqlite")
    refused = dicamm.json("records", "--db", other, *wrong, "--ack", code=1)
    assert refused["stored"] == [] and "does not fit" in refused["refused"][0]


# log


def test_log_tells_in_words_what_the_device_reported(dicamm):
    dicamm.transaction()
    newest = dicamm.json("status")["journal"]["newest"]
    lines = dicamm.run("log", "--json").stdout.splitlines()
    entries = [json.loads(line) for line in lines]
    assert entries[-1]["name"] == "RECORDED" and entries[-1]["args"] == [2, newest]
    assert f"RECORDED             end recorded, record {newest}" in dicamm.run("log").stdout


def test_log_follows_through_a_restart_until_ctrl_c(dicamm):
    following = subprocess.Popen(
        [*COMMAND, "log", "--follow", "--port", dicamm.path], stdout=subprocess.PIPE, bufsize=0
    )
    try:
        _wait_for(following, "BOOTED")
        dicamm.board.power_cut()
        dicamm.board.wait_for_boot()
        assert "restarted" in _wait_for(following, "-- the device has restarted --")
        _wait_for(following, "METER_BACK")
    finally:
        following.send_signal(signal.SIGINT)
        assert following.wait(5) == 0
    dicamm.wait_for_meter()


def _wait_for(process, words):
    """The first line of the process with these words. Its pipe is unbuffered: `select` sees what
    has not been read yet."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.2)[0]:
            line = process.stdout.readline().decode()
            if words in line:
                return line
    raise AssertionError(f"no line with {words!r}")
