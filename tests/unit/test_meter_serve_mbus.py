"""`clsbench meter serve --protocol mbus`: as a process, read by our own and another's master."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from clsbench.cli.decode import decode
from clsbench.cli.meter import meter
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.meters.fault_steps import FOREVER
from clsbench.meters.mbus_encode import long_frame, secondary_address, telegram
from clsbench.meters.mbus_faults import MbusFaults, parse_mbus_faults

SERVE = [sys.executable, "-m", "clsbench", "meter", "serve", "--protocol", "mbus"]
FAST = ("--baud", "9600")

PYMETERBUS = """
import json, sys, serial, meterbus
port, address, secondary, telegrams = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
found = []
with serial.Serial(port, 9600, timeout=1) as line:
    meterbus.send_ping_frame(line, meterbus.ADDRESS_NETWORK_LAYER)
    line.read(1)
    if secondary:
        meterbus.send_select_frame(line, secondary)
        assert line.read(1) == b"\\xe5"
        address = meterbus.ADDRESS_NETWORK_LAYER
    for turn in range(telegrams):
        request = meterbus.TelegramShort()
        request.header.cField.parts = [0x7B if turn % 2 == 0 else 0x5B]
        request.header.aField.parts = [address]
        meterbus.serial_send(line, request)
        head = line.read(4)
        frame = meterbus.load(head + line.read(head[1] + 2))
        found += [str(record.interpreted["value"]) for record in frame.records]
print(json.dumps(found))
"""


@contextlib.contextmanager
def served(*options):
    """(the ready line, the process) of meters that play on a pty."""
    process = subprocess.Popen(
        [*SERVE, *FAST, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)


def asked(port, address):
    """The frames that `decode mbus --ask` prints."""
    arguments = ["mbus", "--port", port, *FAST, "--ask", address, "--json"]
    outcome = CliRunner().invoke(decode, arguments)
    if outcome.exception and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def values(frames):
    return [record["value"] for frame in frames for record in frame["records"]]


def test_our_master_reads_by_primary_and_secondary_address_in_several_telegrams():
    with served("--meters", "2", "--telegrams", "3", "--load", "0", "--start-wh", "6000") as ready:
        port = ready[0]["port"]
        assert ready[0]["addresses"] == [1, 2]
        first = asked(port, "2")
        assert [frame["more"] for frame in first] == [True, True, False]
        assert first[0]["header"]["Id"] == "12345679"
        numbers = [float(value) for value in values(first) if value]
        assert numbers == [6000, 0, 3000, 2000]
        assert asked(port, "12345679FFFFFFFF")[0]["header"]["Id"] == "12345679"
        with pytest.raises(EnvironmentProblem, match="no answer"):
            asked(port, "9")


@pytest.mark.parametrize("secondary", ["", "12345678FFFFFFFF"])
def test_pymeterbus_reads_it_too(secondary):
    with served("--telegrams", "2", "--load", "0", "--start-wh", "6000") as (ready, _):
        command = [sys.executable, "-c", PYMETERBUS, ready["port"], "1", secondary, "2"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    energy, power, *_, earlier = json.loads(done.stdout)
    assert [float(energy), float(power), float(earlier)] == [6000, 0, 3000]


def test_faults_cost_repeats_or_are_told():
    faults = "after=1 kind=silent; kind=checksum; after=2 kind=error code=8"
    with served("--load", "0", "--faults", faults) as (ready, process):
        (frame,) = asked(ready["port"], "1")
        assert frame["valid"] and values([frame])[0] == "1234560.000000"
        (frame,) = asked(ready["port"], "1")
        assert (frame["error"], frame["application_error"]) == (
            "application error",
            "Application busy",
        )
        process.send_signal(signal.SIGTERM)
        words = process.communicate(timeout=120)[1]
    assert '"faults": {"silent": 1, "checksum": 1, "error": 1}' in words


def test_a_line_is_heard_while_another_master_asks():
    with served("--load", "0") as (ready, _):
        listen = [sys.executable, "-m", "clsbench", "decode", "mbus", "--port", ready["port"]]
        done = subprocess.run(
            [*listen, *FAST, "--seconds", "0.5"], capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 1 and "0 good; discarded: nothing" in done.stderr


def test_a_port_gives_frames_as_they_come():
    frame = long_frame(8, 5, telegram(secondary_address("12345678", "ELS", 1, 2), b"\x01\x03\x05"))
    link = bytes.fromhex("12 44 9315 78563412 33 03 78 0c14 27048502 2f2f")
    for command, data in (("mbus", b"\x00" + frame), ("wmbus", link)):
        master, slave = os.openpty()
        try:
            os.set_blocking(master, False)
            arguments = [command, "--port", os.ttyname(slave), "--json", "--count", "1"]
            process = subprocess.Popen(
                [sys.executable, "-m", "clsbench", "decode", *arguments, "--seconds", "20"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            said = None
            while process.poll() is None:
                os.write(master, data)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.7)
            said = json.loads(process.stdout.readline())
            assert said["valid"] and said["header" if command == "mbus" else "link"]["Id"]
            process.communicate()
        finally:
            os.close(master)
            os.close(slave)


def test_what_cannot_be_served_or_asked_is_refused():
    for arguments in (
        ["--identification", "1234"],
        ["--address", "250", "--meters", "2"],
        ["--faults", "kind=silence"],
        ["--faults", "kind=slow ms=x"],
        ["--faults", "count=3"],
        ["--faults", "kind=slow speed=1"],
        ["--faults", "kind=error code=256"],
    ):
        outcome = CliRunner().invoke(meter, ["serve", "--protocol", "mbus", *arguments])
        assert isinstance(outcome.exception, BadInput), arguments
    for arguments in (
        ["--port", "x", "--ask", "251"],
        ["--port", "x", "--ask", "12345678zzzzzzzz"],
        ["--ask", "1", "-"],
        [],
        ["-", "--port", "x"],
    ):
        outcome = CliRunner().invoke(decode, ["mbus", *arguments])
        assert isinstance(outcome.exception, (BadInput, EnvironmentProblem)), arguments


def test_a_script_counts_its_steps_and_begins_anew():
    script = parse_mbus_faults("after=1 count=2 kind=slow ms=7; kind=noise bytes=3; repeat")
    found = [script.next_faults() for _ in range(8)]
    assert [faults.slow_ms for faults in found] == [0, 7, 7, 0, 0, 7, 7, 0]
    assert [len(faults.noise) for faults in found] == [0, 0, 0, 3, 0, 0, 0, 3]
    assert script.applied == {"slow": 4, "noise": 2}
    assert parse_mbus_faults("").next_faults() == MbusFaults()
    forever = parse_mbus_faults("kind=silent count=forever")
    assert forever._steps[0].count == FOREVER
    assert all(forever.next_faults().silent for _ in range(5))
