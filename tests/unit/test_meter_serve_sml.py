"""`clsbench meter serve --protocol sml`: as a process, heard and asked over its pty."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import serial
from click.testing import CliRunner

from clsbench.cli.meter import meter
from clsbench.errors import BadInput
from clsbench.meters.device_id import server_id
from clsbench.meters.sml_encode import obis_bytes, telegram
from dicamm.proto.sml import FRAME, SmlReceiver
from dicamm.proto.sml_request import parameter_request, request_file

IMPORT = obis_bytes("1-0:1.8.0*255")
SERVER = server_id("1EMH0098765432")


@contextlib.contextmanager
def served(*options):
    """(the ready line, the process) of a meter that plays on a pty."""
    command = [sys.executable, "-m", "clsbench", "meter", "serve", "--protocol", "sml", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)


def listen(port, enough, seconds=60, asked=b""):
    """Frames and discards from `port` until `enough` frames came."""
    receiver, found = SmlReceiver(), []
    with serial.Serial(port, 9600, timeout=0.05) as line:
        line.write(asked)
        deadline = time.monotonic() + seconds
        while len(found) < enough and time.monotonic() < deadline:
            receiver.feed(line.read(256))
            while (event := receiver.next_event()) is not None:
                if event.kind == FRAME:
                    found.append(event.data)
    return found, receiver.discarded


def test_meter_pushes_energy_and_power():
    with served("--interval-ms", "300", "--load", "3600", "--start-wh", "1000") as (ready, _):
        assert (ready["role"], ready["protocol"], ready["pull"]) == ("meter", "sml", False)
        found, _ = listen(ready["port"], 3)
    first, *_, last = found
    assert first.server_id == SERVER and first.entry(IMPORT).raw >= 10_000
    assert last.entry(IMPORT).raw - first.entry(IMPORT).raw in range(4, 40)  # 0.1 Wh, 1 Wh/s
    assert first.entry(obis_bytes("1-0:16.7.0*255")).raw == 3600


def test_faults_are_played_and_told():
    script = "count=2 kind=truncated keep=80; after=1 kind=crc; repeat"
    with served("--interval-ms", "200", "--faults", script) as (ready, process):
        found, discarded = listen(ready["port"], 3)
        assert len(found) == 3 and discarded["restart"] and discarded["crc"]
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=120)[1]
    assert process.returncode == 0 and '"truncated"' in told and '"crc"' in told


def test_meter_without_pin_answers_nothing_but_pushes_whole_kwh():
    with served("--interval-ms", "200", "--faults", "count=forever kind=pin") as (ready, _):
        found, _ = listen(ready["port"], 1)
    assert found[0].entry(IMPORT).scaler == 3 and found[0].entry(b"\x01\x00\x10\x07\0\xff") is None


def test_meter_answers_when_asked():
    asked = request_file(b"\xaa", SERVER, b"\x01\x02", [parameter_request(SERVER, [IMPORT])])
    with served("--pull") as (ready, _):
        found, _ = listen(ready["port"], 1, asked=asked)
    assert found[0].bodies[0].tree.value.raw >= 12_345_600


def test_captured_file_is_played(tmp_path):
    capture = tmp_path / "capture.bin"
    capture.write_bytes(telegram(SERVER, [(IMPORT, 5, -1, 30, None)], 1))
    link = tmp_path / "meter"
    with served("--capture", str(capture), "--interval-ms", "200", "--link", str(link)):
        found, _ = listen(str(link), 2)
    assert [frame.entry(IMPORT).raw for frame in found] == [5, 5]
    assert not link.exists()


def test_the_usual_protocol_stays_modbus():
    runner = CliRunner()
    usual = runner.invoke(meter, ["serve", "--help"])
    assert "--model" in usual.output and "--protocol sml" in usual.output
    sml = runner.invoke(meter, ["serve", "--protocol=sml", "--help"])
    assert "--pull" in sml.output and "--model" not in sml.output
    assert "none of modbus, sml" in runner.invoke(meter, ["serve", "--protocol", "x"]).output


def test_capture_and_faults_exclude_each_other(tmp_path):
    command = ["serve", "--protocol", "sml", "--capture", str(tmp_path), "--faults", "kind=crc"]
    outcome = CliRunner().invoke(meter, command)
    assert isinstance(outcome.exception, BadInput)
    with pytest.raises(BadInput, match="crcs"):
        CliRunner().invoke(
            meter, ["serve", "--protocol", "sml", "--faults", "kind=crcs"], catch_exceptions=False
        )
