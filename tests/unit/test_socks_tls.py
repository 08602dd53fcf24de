"""SOCKS-TLS codec: vectors from RFC 1928 and DS2.0 chapter 11, in any chunking; any bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.net import socks_tls as socks

CONNECT = bytes.fromhex("05 01 00 03 04") + b"aemt" + bytes.fromhex("01bb")
RECORD = bytes.fromhex("17 0303 0003") + b"abc"
HELLO = bytes.fromhex("16 0303 0002") + b"hi"
CHANGE = bytes.fromhex("14 0303 0001 01")
ALERT = bytes.fromhex("15 0303 0002") + b"\x01\x00"

chunked = st.lists(st.integers(0, 400), max_size=12)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in zip(places, places[1:], strict=False)]


def frames(framer: socks.Framer, data: bytes) -> list[bytes]:
    parts = [bytes(part) for part in framer.parts(data)]
    return [head + record for head, record in zip(parts[::2], parts[1::2], strict=True)]


def taken(receiver: socks.FrameReceiver, data: bytes) -> bytes:
    return b"".join(receiver.parts(data))


def once(parse, chunks):
    collector = socks.Once(parse)
    for index, chunk in enumerate(chunks):
        item = collector.feed(chunk)
        if item is not None:
            return item, collector.rest + b"".join(chunks[index + 1 :])
    return None, b""


@pytest.mark.parametrize(
    ("parse", "data", "item"),
    [
        (socks.parse_greeting, b"\x05\x01\x06", socks.Greeting((6,))),
        (socks.parse_greeting, b"\x05\x03\x00\x01\x06", socks.Greeting((0, 1, 6))),
        (socks.parse_chosen, b"\x05\x06", socks.Chosen(6)),
        (socks.parse_request, CONNECT, socks.Request("aemt", 443, True)),
        (
            socks.parse_request,
            bytes.fromhex("05010001 7f000001 1f90"),
            socks.Request("127.0.0.1", 8080, False),
        ),
        (
            socks.parse_request,
            bytes.fromhex("05010004") + bytes(15) + b"\x01" + b"\x00\x16",
            socks.Request("::1", 22, False),
        ),
        (socks.parse_reply, bytes.fromhex("05000001 00000000 0000"), socks.Reply(0)),
        (socks.parse_reply, bytes.fromhex("05040003 02 6161 0000"), socks.Reply(4)),
    ],
)
@given(cuts=chunked, rest=st.binary(max_size=8))
@settings(max_examples=20)
def test_an_item_is_the_same_in_any_chunking(parse, data, item, cuts, rest):
    assert once(parse, cut(data + rest, cuts)) == (item, rest)


def test_what_each_end_writes_is_what_the_standard_says():
    assert socks.greeting() == b"\x05\x01\x06"
    assert socks.chosen(socks.choice(socks.Greeting((0, 6)))) == b"\x05\x06"
    assert socks.chosen(socks.choice(socks.Greeting((0, 2)))) == b"\x05\xff"
    assert socks.request("aemt", 443) == CONNECT
    assert socks.reply(5) == bytes.fromhex("05050001 00000000 0000")


@pytest.mark.parametrize("name", ["", "a" * 64, "Aemt", "a_b", "ä", "a b", "a\n"])
def test_a_name_no_profile_can_have_is_not_asked_for(name):
    assert not socks.is_server_name(name)
    with pytest.raises(ValueError, match="server name"):
        socks.request(name)


@pytest.mark.parametrize("name", ["a", "0", "flexmarkt.emt", "-.", "z" * 63])
def test_the_names_of_the_rule_are_taken(name):
    item, _ = once(socks.parse_request, [socks.request(name)])
    assert item == socks.Request(name, 0, True)


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (CONNECT.replace(b"\x05\x01", b"\x05\x02", 1), socks.NOT_SUPPORTED),
        (CONNECT.replace(b"\x05\x01", b"\x05\x03", 1), socks.NOT_SUPPORTED),
        (bytes.fromhex("05010002 00"), socks.ADDRESS_TYPE),
    ],
)
def test_what_is_not_offered_has_its_reply(data, reply):
    item, _ = once(socks.parse_request, [data])
    assert isinstance(item, socks.Unsupported) and item.reply == reply


@pytest.mark.parametrize(
    "parse",
    [socks.parse_greeting, socks.parse_chosen, socks.parse_request, socks.parse_reply],
)
@given(data=st.binary(max_size=300), cuts=chunked)
@settings(max_examples=60)
def test_any_bytes_are_an_item_a_fault_or_not_enough(parse, data, cuts):
    whole, _ = once(parse, [data])
    parts, _ = once(parse, cut(data, cuts))
    assert type(parts) is type(whole)
    if len(data) >= 262:
        assert whole is not None


# ---- frames


def test_each_record_has_a_frame_with_its_state():
    framer = socks.Framer()
    finished = bytes.fromhex("16 0303 0001 00")
    found = frames(framer, HELLO + CHANGE + finished + RECORD + ALERT)
    assert [one[:4].hex() for one in found] == [
        "01010007",
        "01010006",
        "01010006",
        "01030008",
        "01040007",
    ]
    assert [one[4:] for one in found] == [HELLO, CHANGE, finished, RECORD, ALERT]


def test_an_alert_in_the_clear_is_the_handshakes():
    assert frames(socks.Framer(), ALERT) == [socks.frame(socks.HANDSHAKE, ALERT)]


records = st.lists(
    st.binary(max_size=60).map(lambda body: b"\x17\x03\x03" + len(body).to_bytes(2, "big") + body),
    max_size=8,
).map(b"".join)


@given(data=records, out=chunked, back=chunked)
@settings(max_examples=150)
def test_tls_comes_out_of_frames_as_it_went_in(data, out, back):
    framer, receiver = socks.Framer(), socks.FrameReceiver()
    sent = b"".join(part for chunk in cut(data, out) for part in frames(framer, chunk))
    assert b"".join(taken(receiver, chunk) for chunk in cut(sent, back)) == data
    assert receiver.fault is None and not receiver.closing


@given(data=st.binary(max_size=400), cuts=chunked)
@settings(max_examples=150)
def test_any_bytes_are_frames_or_one_fault_in_any_chunking(data, cuts):
    whole, parts = socks.FrameReceiver(), socks.FrameReceiver()
    carried = taken(whole, data)
    assert b"".join(taken(parts, chunk) for chunk in cut(data, cuts)) == carried
    assert (parts.fault, parts.closing) == (whole.fault, whole.closing)
    assert len(carried) <= len(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x02\x01\x00\x00", "version 2"),
        (b"\x01\x02\x00\x00", "state 2"),
        (b"\x01\x05\x00\x00", "state 5"),
        (b"\x01\x00\x00\x00", "state 0"),
        (b"\x01\x03\xff\xff", "65535 bytes"),
        (socks.frame(3, RECORD) + socks.frame(1, HELLO), "state 1 behind one of state 3"),
        (socks.frame(4, ALERT) + socks.frame(3, RECORD), "state 3 behind one of state 4"),
    ],
)
def test_a_frame_against_the_rules_ends_it(data, reason):
    receiver = socks.FrameReceiver()
    taken(receiver, data)
    assert receiver.fault is not None and reason in receiver.fault.reason
    assert taken(receiver, socks.frame(socks.CLOSING)) == b""


def test_closing_may_carry_the_close_notify_or_nothing():
    for content in (ALERT, b""):
        receiver = socks.FrameReceiver()
        assert taken(receiver, socks.frame(socks.CLOSING, content)) == content
        assert receiver.closing and receiver.fault is None


@given(data=st.binary(max_size=2000))
@settings(max_examples=40)
def test_a_receiver_keeps_no_more_than_a_frames_head(data):
    receiver = socks.FrameReceiver()
    taken(receiver, b"\x01\x03\x40\x00" + data)
    assert len(receiver._head) < 4
