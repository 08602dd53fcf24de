"""The board commands as a person runs them: `python -m clsbench` against a DICAMM on a pty.

Real firmware on the unix board, a MID meter on its bus, no gateway. One board for all tests;
each leaves it running without an open transaction.
"""

import asyncio
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import tty
import uuid

import pytest
import serial
import serial.rfc2217
from board_kit import open_port, read_until

from clsbench.bench.plant import PIN_RELAY, BenchPlant
from clsbench.clock import BenchClock
from clsbench.device.build import build_firmware
from clsbench.device.flash import flash, mpremote
from clsbench.device.link import LinkClient
from clsbench.device.provision import DeviceConfig, device_files, record_key
from clsbench.errors import PeerSilent
from clsbench.eventlog import EventLog
from clsbench.hil.unix_board import UnixBoard
from clsbench.pki.layout import DEFAULT_CLS, Pki

pytestmark = [pytest.mark.hil, pytest.mark.timeout(60)]
METER = "1EAS0012345678"


class Dicamm:
    """The board with firmware and plant, and the command run against it."""

    def __init__(self, work):
        clock = BenchClock()
        self.plant = BenchPlant(clock, EventLog(None, clock, "test"))
        self.key_file = work / "records.key"
        self.board = UnixBoard(
            work / "board", uarts={0: self.plant.bus_path}, on_pin=self.plant.on_pin
        )
        self.path = self.board.path
        self._work = work

    def start(self):
        record_key(self.key_file)
        pki = Pki.init(self._work / "pki")
        self.plant.start()
        self.board.start()
        config = DeviceConfig(DEFAULT_CLS, DEFAULT_CLS, METER)
        firmware = build_firmware("unix", self._work / "firmware")
        flash(self.path, firmware + device_files(config, pki, self.key_file))
        self.wait_for_meter()

    def restart(self):
        self.board.power_cut()
        self.board.wait_for_boot()
        self.wait_for_meter()

    def wait_for_meter(self):
        deadline = time.monotonic() + 10
        while not self.json("status")["meter"]["healthy"]:
            assert time.monotonic() < deadline, "the meter did not get healthy"
            time.sleep(0.1)

    def close(self):
        self.board.close()
        self.plant.stop()

    def run(self, *arguments, code=0, port=None):
        """Runs a command; the finished process, whose exit code must be `code`."""
        done = subprocess.run(
            [*COMMAND, *arguments, "--port", port or self.path],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments, code=0, port=None):
        return json.loads(self.run(*arguments, "--json", code=code, port=port).stdout)

    def transaction(self):
        """A whole transaction; its UUID."""
        begin = self.json("switch", "begin")
        assert self.json("switch", "end")["uuid"] == begin["uuid"]
        return begin["uuid"]


COMMAND = [sys.executable, "-m", "clsbench"]


@pytest.fixture(scope="module")
def dicamm(tmp_path_factory):
    made = Dicamm(tmp_path_factory.mktemp("dicamm"))
    try:
        made.start()
        yield made
    finally:
        made.close()


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
        deadline = time.monotonic() + 10
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
    assert "ms apart, although the device states a bound of 1 ms" in found["problem"]


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
    assert wrong["ok"] is False and wrong["code"] == 4 and wrong["seq"] is None
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
    foreign = dicamm.run("records", "--out", str(folder), "--ack", code=2)
    assert "000001-taf16.cbor: holds another record with this number" in foreign.stderr
    assert "needs --out" in dicamm.run("records", "--ack", code=2).stderr
    assert dicamm.json("status")["journal"]["unacknowledged"] == owed


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
        [*COMMAND, "log", "--follow", "--port", dicamm.path], stdout=subprocess.PIPE, text=True
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
    """The first line of the process with these words."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.2)[0]:
            line = process.stdout.readline()
            if words in line:
                return line
    raise AssertionError(f"no line with {words!r}")


# ports


def test_port_that_is_none_is_told_with_what_there_is(dicamm):
    done = dicamm.run("status", code=3, port="/dev/no-such-port")
    assert "port /dev/no-such-port cannot be opened: No such file" in done.stderr
    assert "Ports found here: " in done.stderr and "Traceback" not in done.stderr
    refused = dicamm.run("status", code=3, port="socket://127.0.0.1:1")
    assert "cannot be opened: Connection refused" in refused.stderr
    unknown = dicamm.run("status", code=3, port="carrier-pigeon://loft")
    assert "protocol 'carrier-pigeon' not known" in unknown.stderr


async def test_silent_port_is_told_with_its_last_words():
    master, slave = os.openpty()
    tty.setraw(slave)
    link = await LinkClient.open(os.ttyname(slave))
    os.write(master, b"MemoryError: no more\r\n")
    with pytest.raises(PeerSilent, match=r"2 tries, 0\.1 s each(.|\n)*console: MemoryError: no"):
        await link.hello(timeout_s=0.1, tries=2)
    await link.close()
    os.close(master)
    os.close(slave)


class Server:
    """A board's port over TCP for one client: raw bytes, or RFC 2217."""

    def __init__(self, path, scheme):
        self._port = _PtyPort(path, timeout=0.02)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._rfc2217 = scheme == "rfc2217"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(5)
        self._listener.close()
        self._port.close()

    def _serve(self):
        client, _address = self._listener.accept()
        manager = serial.rfc2217.PortManager(self._port, client.makefile("wb", buffering=0))
        client.settimeout(0.02)
        while True:
            try:
                data = client.recv(4096)
            except TimeoutError:
                data = None
            if data == b"":
                return client.close()
            if data:
                plain = b"".join(manager.filter(data)) if self._rfc2217 else data
                self._port.write(plain)
            if data := self._port.read(self._port.in_waiting or 1):
                client.sendall(b"".join(manager.escape(data)) if self._rfc2217 else data)


class _PtyPort(serial.Serial):
    """A pty has no modem lines."""

    cts = dsr = ri = cd = property(lambda self: True)

    def _update_dtr_state(self):
        pass

    def _update_rts_state(self):
        pass


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_board_behind_a_network_port_works_as_one_at_hand(dicamm, scheme):
    with Server(dicamm.path, scheme) as server:
        assert dicamm.json("records", port=server.url)["device_id"] == DEFAULT_CLS


# the same cable for mpremote


def test_mpremote_works_on_the_same_cable_with_the_firmware_running(dicamm):
    dicamm.run("status")
    with open_port(dicamm.board) as port:
        port.write(b"\x03")
        read_until(port, b">>> ")
    assert dicamm.board.pin(PIN_RELAY) == 0
    assert mpremote(dicamm.path, "resume", "exec", "print(6 * 7)").strip() == "42"
    dicamm.restart()
    assert "records.key" in mpremote(dicamm.path, "fs", "ls")
    dicamm.restart()


def test_hand_over_brings_the_repl_and_opens_the_relay(dicamm):
    dicamm.json("switch", "begin")

    async def hand_over():
        link = await LinkClient.open(dicamm.path)
        await link.hello()
        await link.hand_over()
        await link.close()

    asyncio.run(hand_over())
    with open_port(dicamm.board) as port:
        port.write(b"\r")
        read_until(port, b">>> ")
        port.write(b"6 * 7\r")
        read_until(port, b"\r\n42\n>>> ")
    assert dicamm.board.pin(PIN_RELAY) == 0
    dicamm.restart()
    dicamm.run("time", "--set")
    deadline = time.monotonic() + 10
    while dicamm.json("status")["open_uuid"] is not None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert dicamm.json("records")["records"][-1]["event"] == "power-fail"
