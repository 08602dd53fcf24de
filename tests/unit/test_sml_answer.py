"""A simulated SML meter asked by the device's own requests, read by the device's own reader."""

import pytest

from clsbench.meters.device_id import server_id
from clsbench.meters.sml_answer import MAX_WAITING, SmlResponder
from clsbench.meters.sml_encode import obis_bytes
from clsbench.meters.sml_second_reader import files
from dicamm.proto.sml import SmlReceiver
from dicamm.proto.sml_bodies import ATTENTION, PARAMETER, PROFILE_LIST
from dicamm.proto.sml_request import (
    list_request,
    parameter_request,
    profile_request,
    request_file,
)

CLIENT = b"\xaa\xbb"
SERVER = server_id("1EMH0098765432")
IMPORT, EXPORT = obis_bytes("1-0:1.8.0*255"), obis_bytes("1-0:2.8.0*255")
POWER = obis_bytes("1-0:16.7.0*255")
PROFILE = obis_bytes("1-0:99.1.0*255")
VALUES = [(IMPORT, 123_456_789, -1, 30, 386), (POWER, -46, 0, 27, None)]
ROWS = [
    (1_729_847_100 + 900 * n, n, [(IMPORT, 100 + n, -1, 30, None), (EXPORT, n, 0, 30, None)])
    for n in range(4)
]


@pytest.fixture
def meter():
    return SmlResponder(SERVER, lambda: VALUES, lambda: 4711, lambda: ROWS)


def ask(meter, *requests, pieces=1000):
    data = request_file(CLIENT, SERVER, b"\x11\x22", requests)
    answers = []
    for at in range(0, len(data), pieces):
        answers += meter.feed(data[at : at + pieces])
    assert len(answers) == 1
    receiver = SmlReceiver()
    receiver.feed(answers[0])
    frame = receiver.next_event().data
    assert receiver.discarded == {} and frame.refused == 0
    return frame


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_value_list_is_answered_under_the_name_asked_for(meter, pieces):
    frame = ask(meter, list_request(CLIENT, SERVER, EXPORT), pieces=pieces)
    assert (frame.server_id, frame.list_name, frame.sensor_time) == (SERVER, EXPORT, (1, 4711))
    assert [(e.obis, e.raw, e.scaler, e.unit, e.status) for e in frame.entries] == VALUES
    assert frame.opened().request_id == b"\x11\x22" and frame.closed() is not None


def test_parameter_is_answered_with_its_value(meter):
    (body,) = ask(meter, parameter_request(SERVER, [IMPORT])).bodies
    assert (body.tag, body.server_id, body.path) == (PARAMETER, SERVER, [IMPORT])
    value = body.tree.value
    assert (value.obis, value.raw, value.scaler, value.unit) == (IMPORT, 123_456_789, -1, 30)


def test_profile_is_answered_row_by_row_within_its_range(meter):
    begin, end = ROWS[1][0], ROWS[2][0]
    bodies = ask(meter, profile_request(SERVER, [PROFILE], (2, begin), (2, end), [EXPORT])).bodies
    assert [body.tag for body in bodies] == [PROFILE_LIST] * 2
    assert [body.entry_time for body in bodies] == [(2, begin), (2, end)]
    assert [[(e.obis, e.raw) for e in body.entries] for body in bodies] == [
        [(EXPORT, 1)],
        [(EXPORT, 2)],
    ]
    assert len(ask(meter, profile_request(SERVER, [PROFILE])).bodies) == 4
    assert len(bodies[0].path) == 1 and bodies[0].period_s == 900


def test_what_cannot_be_served_is_refused_with_its_reason(meter):
    other = server_id("1EMH0000000001")
    requests = (
        list_request(CLIENT, other),
        parameter_request(SERVER, [EXPORT]),
        profile_request(SERVER, [PROFILE], (2, ROWS[-1][0] + 1)),
        profile_request(SERVER, [PROFILE], pack=True),
    )
    bodies = ask(meter, *requests).bodies
    assert [body.tag for body in bodies] == [ATTENTION] * 4
    assert [body.number[-2:].hex() for body in bodies] == ["fe03", "fe0a", "fe13", "fe0d"]
    assert meter.refused == 4


def test_several_requests_in_one_file_are_answered_in_one(meter):
    frame = ask(meter, list_request(CLIENT), parameter_request(SERVER, [POWER]))
    assert len(frame.entries) == 2 and frame.bodies[0].tree.value.raw == -46


def test_file_without_open_and_damaged_bytes(meter):
    data = request_file(CLIENT, SERVER, b"\x11", [list_request(CLIENT)])
    assert meter.feed(data[:-1] + b"\x00") == []
    assert meter.feed(b"noise" * 10_000) == [] and len(meter._waiting) <= MAX_WAITING
    (end, messages), *more = files(data)
    assert (end, [tag for tag, _ in messages], more) == (len(data), [0x100, 0x700, 0x200], [])
    assert len(meter.feed(data)) == 1
