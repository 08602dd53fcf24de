"""`clsbench decode sml`: what is wrong on the line, text readouts, other messages, a live port."""

import json
import os
import threading
import time
import tty

import pytest
from click.testing import CliRunner

from clsbench.cli.decode import decode
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.meters.device_id import server_id
from clsbench.meters.sml_advice import advice
from clsbench.meters.sml_encode import frame, message, obis_bytes, octets, sml_list, telegram
from clsbench.meters.sml_quirk_words import QUIRKS
from dicamm.proto import sml_diagnosis, sml_entry
from dicamm.proto.sml_quirks import SIGNED_POWER

SERVER = server_id("1EMH0098765432")
IMPORT = obis_bytes("1-0:1.8.0*255")
TELEGRAM = telegram(SERVER, [(IMPORT, 123_456_789, -1, 30, None)], 77)
COARSE = telegram(SERVER, [(IMPORT, 2324, 3, 30, None)], 77)
READOUT = b"/EMH4x\r\n\r\n1-0:1.8.0*255(012345.6789*kWh)\r\n!\r\n"
ATTENTION = frame(
    message(
        octets(b"1"),
        0xFF01,
        sml_list(octets(SERVER), octets(b"\x81\x81\xc7\xc7\xfe\x02"), octets(b"no\n"), b"\x01"),
    )
)


def run(*arguments, data=b"", fails=False):
    outcome = CliRunner().invoke(decode, ["sml", *arguments], input=data)
    if outcome.exception and not (fails and isinstance(outcome.exception, SystemExit)):
        raise outcome.exception
    assert bool(outcome.exit_code) == fails
    return outcome.stdout


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_missing_pin_is_in_the_document_and_in_words(interpreter):
    document = json.loads(run("-", "--json", "--on", interpreter, data=COARSE * 2))
    assert document["diagnosis"] == [{"finding": "pin missing", "number": 2}]
    assert "PIN" in run("-", "--on", interpreter, data=COARSE)


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_text_readouts_are_decoded(interpreter):
    document = json.loads(run("-", "--json", "--on", interpreter, data=READOUT))
    assert document["frames"] == [] and document["diagnosis"][0]["finding"] == "text readouts"
    (readout,) = document["readouts"]
    assert readout["manufacturer"] == "EMH"
    assert readout["entries"][0]["obis"] == "1-0:1.8.0*255"
    assert readout["entries"][0]["value"] == "12345678.9"
    assert "12345678.9" in run("-", "--on", interpreter, data=READOUT)


def test_good_telegrams_have_no_diagnosis():
    assert set(json.loads(run("-", "--json", data=TELEGRAM))) == {"frames", "discarded"}


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_other_messages_are_shown(interpreter):
    document = json.loads(run("-", "--json", "--on", interpreter, data=ATTENTION))
    (body,) = document["frames"][0]["bodies"]
    assert body["tag"] == "ff01" and body["meaning"] == "user or password not valid"
    assert body["text"] == "no?" and body["server_id"] == SERVER.hex()
    assert "password not valid" in run("-", data=ATTENTION)


def test_every_finding_has_words():
    for name, finding in vars(sml_diagnosis).items():
        if name.isupper() and isinstance(finding, str):
            assert len(advice(finding, 3)) > 40


def test_every_quirk_has_words_and_a_family():
    told = {value for name, value in vars(sml_entry).items() if name.isupper() and name != "BARE"}
    told = {value for value in told if isinstance(value, str)}
    assert len(told) == 8 and told | {row[4] for row in SIGNED_POWER} <= QUIRKS.keys()
    assert all(len(quirk.meaning) > 10 and quirk.family for quirk in QUIRKS.values())


def test_quirks_are_explained_below_the_telegrams():
    out = run("-", data=telegram(SERVER, [(IMPORT, None, None, 30, None)], 1))
    assert "quirk entry_without_value: an entry that has no value" in out


def test_files_or_a_port_are_wanted():
    with pytest.raises(BadInput, match="--port"):
        run()
    with pytest.raises(BadInput, match="not both"):
        run("-", "--port", "/dev/null")
    with pytest.raises(BadInput, match="--on"):
        run("--port", "/dev/null", "--on", "micropython")


@pytest.fixture
def line():
    """(path to listen on, function that sends bytes there again and again)."""
    master, slave = os.openpty()
    tty.setraw(slave)
    stop = threading.Event()

    def send(data):
        while not stop.is_set():
            os.write(master, data)
            time.sleep(0.02)

    def begin(data):
        thread = threading.Thread(target=send, args=(data,))
        thread.start()
        threads.append(thread)

    threads = []
    yield os.ttyname(slave), begin
    stop.set()
    for thread in threads:
        thread.join()
    os.close(master)
    os.close(slave)


def test_port_shows_telegrams_as_they_come(line):
    port, begin = line
    begin(TELEGRAM)
    lines = run("--port", port, "--count", "3", "--json").splitlines()
    found = [json.loads(text) for text in lines]
    frames = [item for item in found if "crc" in item]
    assert len(frames) == 3 and frames[0]["entries"][0]["value"] == "12345678.9"
    assert frames[1]["offset"] > frames[0]["offset"]
    assert found[-1]["good"] == 3 and set(found[-1]["discarded"]) <= {"noise"}


def test_port_shows_text_readouts_and_says_so(line):
    port, begin = line
    begin(READOUT)
    out = run("--port", port, "--count", "2")
    assert out.count("text readout of EMH") == 2 and "not SML" in out


def test_silent_port_is_a_finding(line):
    out = run("--port", line[0], "--seconds", "0.3", fails=True)
    assert "not one byte came" in out and "0 good; discarded: nothing" in out


def test_missing_port_is_named():
    with pytest.raises(EnvironmentProblem, match="/dev/no-such-port"):
        run("--port", "/dev/no-such-port", "--seconds", "1")
