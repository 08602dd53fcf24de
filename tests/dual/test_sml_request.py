"""Requests to an SML meter: one of each kind, spelled byte by byte."""

from dicamm.proto.crc import crc16_x25
from dicamm.proto.sml import SmlReceiver
from dicamm.proto.sml_request import (
    list_request,
    octets,
    parameter_request,
    profile_request,
    request_file,
    time,
    unsigned,
)

CLIENT = b"\xaa\xbb"
SERVER = bytes.fromhex("0a0158595a0005f5e0ff")
IMPORT = bytes.fromhex("0100010800ff")


def spelled(text):
    return bytes.fromhex(text.replace("SERVER", "0b 0a0158595a0005f5e0ff"))


def test_request_of_a_value_list():
    assert list_request(CLIENT, SERVER, IMPORT) == (
        0x0700,
        spelled("75 03 aabb SERVER 01 01 07 0100010800ff"),
    )
    assert list_request(CLIENT) == (0x0700, spelled("75 03 aabb 01 01 01 01"))


def test_request_of_a_parameter():
    assert parameter_request(SERVER, [IMPORT]) == (
        0x0500,
        spelled("75 SERVER 01 01 71 07 0100010800ff 01"),
    )
    assert parameter_request(SERVER, [IMPORT, b"\x02"], b"\x04") == (
        0x0500,
        spelled("75 SERVER 01 01 72 07 0100010800ff 02 02 02 04"),
    )


def test_request_of_a_profile():
    assert profile_request(SERVER, [IMPORT], (2, 0x671B5F7C), (1, 7), [IMPORT]) == (
        0x0400,
        spelled(
            "79 SERVER 01 01 01 72 6202 65 671b5f7c 72 6201 65 00000007"
            "71 07 0100010800ff 71 07 0100010800ff 01"
        ),
    )
    assert profile_request(SERVER, [IMPORT], pack=True) == (
        0x0300,
        spelled("79 SERVER 01 01 01 01 01 71 07 0100010800ff 01 01"),
    )


def test_file_has_open_and_close_around_its_requests():
    data = request_file(CLIENT, SERVER, b"\x11\x22", [list_request(CLIENT)])
    heads = (
        "76 04 112200 6200 6200 72 630100 77 01 03 aabb 03 1122 SERVER 01 01 01",
        "76 04 112201 6201 6200 72 630700 75 03 aabb 01 01 01 01",
        "76 04 112202 6202 6200 72 630200 71 01",
    )
    payload = b""
    for head in map(spelled, heads):
        payload += head + b"\x63" + crc16_x25(head, 0, len(head)).to_bytes(2, "little") + b"\x00"
    fill = -len(payload) % 4
    want = spelled("1b1b1b1b 01010101") + payload + bytes(fill) + spelled("1b1b1b1b 1a")
    want += bytes((fill,))
    assert data == want + crc16_x25(want, 0, len(want)).to_bytes(2, "little")


def test_receiver_tells_requests_by_their_kind():
    receiver = SmlReceiver()
    requests = [parameter_request(SERVER, [IMPORT]), profile_request(SERVER, [IMPORT])]
    receiver.feed(request_file(CLIENT, SERVER, b"\x1b" * 9, requests))
    frame = receiver.next_event().data
    assert [body.tag for body in frame.bodies] == [0x0100, 0x0500, 0x0400, 0x0200]
    assert frame.refused == 0 and frame.quirks == ("literal_escape",)


def test_numbers_and_lengths_at_their_edges():
    assert (unsigned(0), unsigned(255), unsigned(256)) == (
        b"\x62\x00",
        b"\x62\xff",
        b"\x63\x01\x00",
    )
    assert unsigned(2**32) == b"\x69\x00\x00\x00\x01\x00\x00\x00\x00"
    assert octets(b"x" * 14)[:1] == b"\x0f" and octets(b"x" * 15)[:2] == b"\x81\x01"
    assert octets(None) == octets(b"") == b"\x01" and time(None) == b"\x01"
    try:
        unsigned(2**64)
    except ValueError:
        return
    raise AssertionError("a number beyond 64 bits was written")
