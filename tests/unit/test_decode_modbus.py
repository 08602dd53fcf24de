"""`clsbench decode modbus`: each kind of frame is told as what it is, on both interpreters."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.cli.decode import decode
from clsbench.meters.modbus_document import document
from clsbench.meters.rtu_responder import with_crc


def frame(text):
    return with_crc(bytes.fromhex(text))


READ = bytes.fromhex("0104 0048 0002 F1DD")  # the CRC as published with the SDM630
REPLY = frame("01 04 04 449A51EC")
BAD = REPLY[:4] + b"\x9b" + REPLY[5:]


def kinds(data):
    return [entry["kind"] for entry in document(data)["frames"]]


def device(data):
    return [entry["device"] for entry in document(data)["frames"] if "device" in entry]


def test_a_read_and_its_reply():
    request, reply = document(READ + REPLY)["frames"]
    assert (request["kind"], request["unit"], request["function"]) == ("request", 1, 4)
    assert (request["address"], request["count"], request["crc"]) == (0x48, 2, "ok")
    assert request["function_name"] == "read input registers" and request["device"] == "none"
    assert (reply["kind"], reply["offset"], reply["length"]) == ("reply", 8, 9)
    assert (reply["request"], reply["address"], reply["registers"]) == (0, 0x48, "449A 51EC")
    assert reply["raw"] == "01 04 04 44 9A 51 EC F3 46"


@pytest.mark.parametrize(
    ("data", "told", "verdict"),
    [
        (READ + BAD, ["request", "broken"], ["crc"]),
        (READ + REPLY[:5], ["request", "truncated"], ["short"]),
        (READ + REPLY[:1], ["request", "truncated"], ["short"]),
        (READ + b"\0" + REPLY + b"\xff", ["request", "noise", "reply", "noise"], ["none"]),
        (READ + frame("01 84 02"), ["request", "exception"], ["exception"]),
        (READ + frame("01 03 04 449A51EC"), ["request", "reply"], ["wrong function"]),
        (READ + frame("02 04 04 449A51EC"), ["request", "reply"], ["wrong unit"]),
        (READ + frame("01 04 02 449A"), ["request", "reply"], ["wrong length"]),
        (READ + READ + REPLY, ["request", "request", "reply"], ["none", "none"]),
        (READ, ["request"], ["timeout"]),
        (b"\x55\x55\x55" + READ + REPLY, ["noise", "request", "reply"], ["none"]),
        (frame("01 06 0010 0005") * 2, ["request", "reply"], ["none"]),
        (
            frame("01 10 0010 0002 04 AAAABBBB") + frame("01 10 0010 0002"),
            ["request", "reply"],
            ["none"],
        ),
        (REPLY, ["reply"], []),
        (b"", [], []),
    ],
)
def test_kinds_and_what_the_device_makes_of_them(data, told, verdict):
    assert kinds(data) == told
    assert device(data) == verdict


def test_a_wrong_crc_is_shown_beside_the_right_one():
    broken = document(READ + BAD)["frames"][1]
    assert (broken["crc"], broken["crc_sent"], broken["crc_computed"]) == ("bad", "46F3", "86A2")


def test_notes_tell_what_does_not_fit():
    notes = [
        document(data)["frames"][-1]["note"]
        for data in (
            READ + frame("01 03 04 449A51EC"),
            READ + frame("02 04 04 449A51EC"),
            READ + frame("01 04 02 449A"),
            REPLY,
            READ + READ,
            READ + BAD + READ,
            frame("00 06 0010 0005"),
        )
    ]
    assert notes == [
        "reply of another function than asked for",
        "reply of another unit than asked",
        "1 registers where 2 were asked for",
        "its request is not in the capture",
        "its echo, or asked again",
        "asked again",
        "broadcast: nobody answers",
    ]


def test_device_identification_is_spelled_out():
    reply = frame("01 2B 0E 01 01 00 00 02 00 04 41636D65 01 03 454D31")
    found = document(frame("01 2B 0E 01 00") + reply)["frames"][1]
    assert found["objects"] == [[0, "Acme"], [1, "EM1"]]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=12), st.sampled_from([READ, REPLY, BAD])), max_size=8)
)
def test_every_byte_stands_in_exactly_one_frame(parts):
    data = b"".join(parts)
    found = document(data)["frames"]
    assert b"".join(bytes.fromhex(entry["raw"]) for entry in found) == data
    assert [entry["offset"] for entry in found] == [
        sum(one["length"] for one in found[:number]) for number in range(len(found))
    ]


def run(*arguments, data=b""):
    outcome = CliRunner().invoke(decode, ["modbus", *arguments], input=data)
    if outcome.exception:
        raise outcome.exception
    return outcome.stdout


CAPTURE = READ + REPLY + READ + BAD + READ + frame("01 84 02") + b"\x07"


def test_both_interpreters_say_the_same():
    told = [run("-", "--json", "--on", on, data=CAPTURE) for on in ("cpython", "micropython")]
    assert told[0] == told[1]
    assert json.loads(told[0])["counts"] == {
        "request": 3,
        "reply": 1,
        "broken": 1,
        "exception": 1,
        "noise": 1,
    }


def test_values_of_a_known_meter_stand_beside_the_reply(tmp_path):
    path = tmp_path / "capture.hex"
    path.write_text(CAPTURE.hex(" "))
    reply = json.loads(run(str(path), "--json", "--model", "eastron_sdm630"))["frames"][1]
    assert reply["values"] == [
        {"obis": "1-0:1.8.0*255", "raw": 123456, "scaler": 1, "unit": 30, "value": "1234560"}
    ]


def test_the_text_tells_each_frame_in_a_line(tmp_path):
    path = tmp_path / "capture.bin"
    path.write_bytes(CAPTURE)
    out = run(str(path), "--model", "eastron_sdm630")
    assert "request    unit 1, 4 read input registers, 0x0048 x 2" in out
    assert "1-0:1.8.0*255 = 1234560" in out
    assert "CRC sent 46F3, computed 86A2" in out
    assert "exception 2 illegal data address" in out
    assert "broken 1, exception 1, noise 1, reply 1, request 3" in out


def test_several_files_give_a_list_with_names(tmp_path):
    names = [str(tmp_path / name) for name in ("a", "b")]
    for name in names:
        (tmp_path / name).write_bytes(CAPTURE)
    assert [entry["file"] for entry in json.loads(run(*names, "--json"))] == names
