"""Fault scripts of a played meter: which replies they meet, and what goes out instead."""

import pytest

from clsbench.errors import BadInput
from clsbench.meters.fault_script import KINDS, FaultScript, Step, parse_faults
from clsbench.meters.rtu_responder import crc16, with_crc

REQUEST = with_crc(bytes.fromhex("010400480002"))
REPLY = with_crc(bytes.fromhex("010404449A51EC"))


def met(script, number):
    return [step.kind if (step := script.next_step()) else "" for _ in range(number)]


def spoiled(text):
    script = parse_faults(text)
    step = script.next_step()
    assert step is not None
    return script.spoil(step, REQUEST, REPLY)


def test_steps_follow_each_other_and_end():
    script = parse_faults("after=2 count=3 kind=crc; kind=silence; after=1 kind=slow ms=400")
    assert met(script, 9) == ["", "", "crc", "crc", "crc", "silence", "", "slow", ""]
    assert script.applied == {"crc": 3, "silence": 1, "slow": 1}


def test_a_script_may_repeat_or_last_for_ever():
    assert met(parse_faults("after=1 kind=crc; repeat"), 5) == ["", "crc", "", "crc", ""]
    assert met(parse_faults("count=forever kind=echo"), 50) == ["echo"] * 50
    assert met(parse_faults(""), 3) == ["", "", ""]


def test_a_file_says_the_same(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text(
        'repeat = true\n[[fault]]\nafter = 1\ncount = 2\nkind = "crc"\n'
        '[[fault]]\nkind = "exception"\ncode = 4\n',
        encoding="utf-8",
    )
    script = parse_faults(str(path))
    assert met(script, 6) == ["", "crc", "crc", "exception", "", "crc"]


def test_a_bit_error_changes_as_many_bits_as_asked_and_repeats_with_the_seed():
    for bits in (1, 5):
        frame = spoiled(f"kind=bits bits={bits}").frame
        assert sum((a ^ b).bit_count() for a, b in zip(frame, REPLY)) == bits
        assert frame == spoiled(f"kind=bits bits={bits}").frame


def test_what_each_kind_sends():
    assert spoiled("kind=crc").frame == REPLY[:-2] + bytes(b ^ 0xFF for b in REPLY[-2:])
    assert spoiled("kind=silence").frame == b""
    slow = spoiled("kind=slow ms=400")
    assert (slow.frame, slow.delay_ms) == (REPLY, 400)
    assert spoiled("kind=truncated keep=4").frame == REPLY[:4]
    assert spoiled("kind=echo").frame == REQUEST + REPLY
    assert spoiled("kind=stray before=00 behind=FFFE").frame == b"\0" + REPLY + b"\xff\xfe"
    assert spoiled("kind=exception code=6").frame == with_crc(b"\x01\x84\x06")


@pytest.mark.parametrize(("kind", "at", "value"), [("function", 1, 3), ("unit", 0, 2)])
def test_a_foreign_reply_is_whole(kind, at, value):
    frame = spoiled(f"kind={kind}").frame
    assert crc16(frame) == 0 and frame[at] == value
    assert frame[2:-2] == REPLY[2:-2]


def test_a_reply_of_wrong_length_is_whole():
    frame = spoiled("kind=length").frame
    assert crc16(frame) == 0 and frame[2] == 6 and len(frame) == len(REPLY) + 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_bears_any_reply(kind):
    step = Step(kind, before="00")
    for reply in (with_crc(b"\x01\x84\x02"), with_crc(b"\x01\x03\xff" + bytes(255))):
        assert FaultScript([step]).spoil(step, REQUEST, reply).delay_ms >= 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind=crcs", "Nearest: crc"),
        ("after=1", "kind= is missing"),
        ("kind=crc after=x", "after=x: a number"),
        ("kind=crc many=1", "'many' is unknown"),
        ("kind crc", "key=value is wanted"),
        ("kind=stray", "before=HEX"),
        ("kind=stray before=0", "no hex"),
        ("kind=crc count=0", "makes no sense"),
        ("kind=exception code=0", "code 1 to 255"),
        ("/no/such.toml", "/no/such.toml"),
    ],
)
def test_senseless_scripts_are_refused_with_the_place(text, told):
    with pytest.raises(BadInput) as caught:
        parse_faults(text)
    assert told in str(caught.value)


def test_a_faulty_file_names_the_step(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "crc"\n[[fault]]\nkind = "crc"\nms = "soon"\n')
    with pytest.raises(BadInput, match="step 2: ms=soon"):
        parse_faults(str(path))
    path.write_text("[[faults]]\n")
    with pytest.raises(BadInput, match="only"):
        parse_faults(str(path))
