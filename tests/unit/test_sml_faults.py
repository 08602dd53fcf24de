"""The fault script of a played SML meter."""

import pytest

from clsbench.errors import BadInput
from clsbench.meters.device_id import server_id
from clsbench.meters.sml_encode import obis_bytes, telegram
from clsbench.meters.sml_faults import parse_sml_faults
from clsbench.meters.sml_second_reader import frames
from dicamm.proto.sml_diagnosis import PIN_MISSING, LineDiagnosis

VALUES = [
    (obis_bytes("1-0:96.50.1*1"), b"EMH", None, None, None),
    (obis_bytes("1-0:1.8.0*255"), 123_456_789, -1, 30, None),
    (obis_bytes("1-0:2.8.0*255"), 7, 3, 30, None),
    (obis_bytes("1-0:16.7.0*255"), 300, 0, 27, None),
]
SERVER = server_id("1EMH0098765432")


def sent(script, count):
    """What goes out for `count` telegrams."""
    faults = parse_sml_faults(script)
    out = []
    for number in range(count):
        step = faults.next_step()
        data = telegram(SERVER, faults.values(step, VALUES), number)
        out.append(faults.spoil(step, data))
    return out, faults.applied


def good(data):
    return len(frames(data))


def test_without_a_script_all_telegrams_are_good():
    out, applied = sent("", 3)
    assert [good(data) for data in out] == [1, 1, 1] and applied == {}


def test_each_kind_spoils_as_it_says():
    out, applied = sent("kind=silent; kind=crc; kind=bits; kind=truncated keep=50; kind=noise", 6)
    assert [good(data) for data in out] == [0, 0, 0, 0, 1, 1]
    assert out[0] == b"" and len(out[3]) == 50 and len(out[4]) == len(out[5]) + 32
    assert out[1][:-1] == telegram(SERVER, VALUES, 1)[:-1]
    assert applied == {"silent": 1, "crc": 1, "bits": 1, "truncated": 1, "noise": 1}


def test_steps_wait_last_and_repeat():
    out, _ = sent("after=2 count=2 kind=silent; repeat", 10)
    assert [data == b"" for data in out] == [
        False,
        False,
        True,
        True,
        False,
        False,
        True,
        True,
    ] + [
        False,
        False,
    ]
    out, _ = sent("after=1 count=forever kind=silent", 50)
    assert [data == b"" for data in out] == [False] + [True] * 49


def test_without_pin_energy_is_whole_kwh_and_power_is_left_out():
    (data, _), _ = sent("kind=pin", 2)
    entries = frames(data)[0]["entries"]
    assert [(e["raw"], e["scaler"]) for e in entries[1:]] == [(12345, 3), (7, 3)]
    diagnosis = LineDiagnosis()
    diagnosis.feed(data)
    assert diagnosis.findings() == [(PIN_MISSING, 1)]


def test_the_same_script_spoils_the_same_bytes():
    assert sent("count=5 kind=bits; kind=noise bytes=9", 6) == sent(
        "count=5 kind=bits; kind=noise bytes=9", 6
    )


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kind=crcs", "Nearest: crc"),
        ("after=1", "kind= is missing"),
        ("kind=crc often=1", "often"),
        ("kind=crc count=x", "number"),
        ("kind=crc count=0", "no sense"),
        ("kind=noise bytes=9999", "no sense"),
    ],
)
def test_mistakes_are_named(script, words):
    with pytest.raises(BadInput, match=words):
        parse_sml_faults(script)
