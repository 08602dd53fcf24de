"""The slave's side of Modbus RTU: which bytes get which reply, in any chunking."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.meters.rtu_responder import RegisterStore, RtuResponder, crc16, with_crc

OBJECTS = {0: b"Acme", 1: b"EM1", 2: b"1.0", 0x80: b"private"}


def responder(unit=1):
    store = RegisterStore({address: 0x1000 + address for address in range(16)}, OBJECTS)
    return RtuResponder({unit: store}), store


def frame(text):
    return with_crc(bytes.fromhex(text))


READ = frame("01 03 0002 0002")
GOOD = frame("01 03 04 1002 1003")


def test_frames_of_the_standard_carry_the_crc_of_the_standard():
    # Modbus over Serial Line V1.02, 6.2.2: the CRC of 02 07 is 1241h, low byte first
    assert with_crc(b"\x02\x07") == bytes.fromhex("02074112")
    assert crc16(bytes.fromhex("02074112")) == 0
    assert crc16(b"123456789") == 0x4B37


def test_a_read_in_any_chunking_gives_one_reply():
    for cut in range(len(READ) + 1):
        slave, _ = responder()
        found = slave.feed(READ[:cut]) + slave.feed(READ[cut:])
        assert found == [(READ, GOOD)]
        assert not slave.pending


@pytest.mark.parametrize(
    ("request_text", "reply_text"),
    [
        ("01 04 0000 0001", "01 04 02 1000"),
        ("01 06 0003 BEEF", "01 06 0003 BEEF"),
        ("01 10 0003 0002 04 0001 0002", "01 10 0003 0002"),
        ("01 03 000F 0002", "01 83 02"),  # behind the last register
        ("01 06 0010 0000", "01 86 02"),
        ("01 10 000F 0002 04 0001 0002", "01 90 02"),
        ("01 03 0000 0000", "01 83 03"),
        ("01 03 0000 007E", "01 83 03"),  # 126 registers
        ("01 10 0003 0002 02 0001", "01 90 03"),  # byte count and number disagree
        ("01 01 0000 0001", "01 81 01"),
        ("01 05 0000 FF00", "01 85 01"),
        ("01 11", "01 91 01"),
        ("01 2B 0E 01 00", "01 2B 0E 01 82 00 00 03 00 04 41636D65 01 03 454D31 02 03 312E30"),
        ("01 2B 0E 04 01", "01 2B 0E 04 82 00 00 01 01 03 454D31"),
        ("01 2B 0E 04 07", "01 AB 02"),
        ("01 2B 0E 07 00", "01 AB 03"),
        ("01 2B 0D 01 00", "01 AB 01"),
    ],
)
def test_replies_of_the_standard(request_text, reply_text):
    slave, _ = responder()
    request = frame(request_text)
    assert slave.feed(request) == [(request, frame(reply_text))]


def test_a_written_register_is_read_back_and_no_kept_reply_outlives_it():
    slave, _ = responder()
    assert slave.feed(READ)[0][1] == GOOD
    slave.feed(frame("01 06 0003 BEEF"))
    assert slave.feed(READ)[0][1] == frame("01 03 04 1002 BEEF")


def test_a_broadcast_is_carried_out_and_not_answered():
    slave, store = responder()
    request = frame("00 06 0003 BEEF")
    assert slave.feed(request) == [(request, b"")]
    assert store.words[3] == 0xBEEF


def test_other_units_and_their_requests_are_left_alone():
    slave, _ = responder()
    assert slave.feed(frame("02 03 0002 0002")) == []
    assert slave.discarded["foreign"] == 1
    assert slave.feed(READ) == [(READ, GOOD)]


def test_several_units_share_a_line():
    stores = {unit: RegisterStore({0: unit}) for unit in (1, 9)}
    slave = RtuResponder(stores)
    for unit in (9, 1):
        request = frame(f"{unit:02X} 03 0000 0001")
        assert slave.feed(request) == [(request, frame(f"{unit:02X} 03 02 {unit:04X}"))]


def test_a_torn_request_is_given_up_with_the_silence():
    slave, _ = responder()
    assert slave.feed(READ[:5]) == [] and slave.pending
    assert slave.silence() == [] and not slave.pending
    assert slave.feed(READ) == [(READ, GOOD)]
    assert slave.discarded == {"crc": 0, "torn": 1, "foreign": 0}


def test_noise_and_a_flipped_bit_cost_only_themselves():
    slave, _ = responder()
    bad = bytearray(READ)
    bad[3] ^= 1
    slave.feed(bytes(bad))
    slave.silence()
    assert slave.feed(b"\xff\x00\xfe" + READ) == [(READ, GOOD)]
    assert slave.discarded["crc"] >= 1


def test_an_unknown_function_is_refused_when_the_line_falls_silent():
    slave, _ = responder()
    request = frame("01 41 99 98 97")
    assert slave.feed(request) == []
    assert slave.silence() == [(request, frame("01 C1 01"))]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_are_borne_and_the_next_request_is_answered(chunks):
    slave, _ = responder(unit=17)
    for chunk in chunks:
        for _, reply in slave.feed(chunk):
            assert reply == b"" or crc16(reply) == 0
    slave.silence()
    request = frame("11 03 0000 0001")
    assert slave.feed(request)[-1][0] == request


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([READ, frame("01 04 0000 0001")]), min_size=1), st.data())
def test_replies_do_not_depend_on_the_chunking(requests, data):
    stream = b"".join(requests)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)) | {0, len(stream)})
    slave, _ = responder()
    found = [one for a, b in zip(cuts, cuts[1:]) for one in slave.feed(stream[a:b])]
    assert [request for request, _ in found] == requests
