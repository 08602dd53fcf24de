"""The aEMT's end of the CLS channel: keys and seals spelled out, any bytes, any chunking."""

import hashlib
import hmac

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.emt import cls_seal
from clsbench.emt.cls_seal import ChannelBroken, EnvelopeReceiver, Seals
from dicamm.link import channel as box

KEY, BOX = bytes(range(32)), "ETST0020000017"
DEVICE, EMT = bytes(range(100, 116)), bytes(range(200, 216))


def spelled(way: bytes, payload: bytes) -> bytes:
    """The tag, by RFC 5869 and RFC 9052 section 6.3."""
    extracted = hmac.new(DEVICE + EMT, KEY, hashlib.sha256).digest()
    info = b"DICAMM channel 1 to " + way + BOX.encode() + b"\x01"
    session = hmac.new(extracted, info, hashlib.sha256).digest()
    covered = b"\x84\x64MAC0\x43\xa1\x01\x05\x40" + cbor2.dumps(payload)
    return hmac.new(session, covered, hashlib.sha256).digest()


def sealed_by_box(payload: bytes, way: bytes = b"aEMT ") -> bytes:
    parts = [b"\xa1\x01\x05", {4: BOX.encode()}, payload, spelled(way, payload)]
    return cbor2.dumps(cbor2.CBORTag(17, parts))


def seals() -> Seals:
    return Seals(KEY, BOX, DEVICE, EMT)


def test_what_goes_to_the_box_is_sealed_by_the_rules():
    payload = cbor2.dumps([1, {0: 1, 1: 9}])
    assert seals().seal({0: 1, 1: 9}) == sealed_by_box(payload, b"device ")


def test_what_comes_from_the_box_is_opened_in_turn():
    emt = seals()
    for number in (1, 2, 3):
        assert emt.open(sealed_by_box(cbor2.dumps([number, {0: number}]))) == {0: number}


@pytest.mark.parametrize(
    ("sealed", "reason"),
    [
        (sealed_by_box(cbor2.dumps([2, {}])), "message 2 behind message 0"),
        (sealed_by_box(cbor2.dumps([0, {}])), "message 0"),
        (sealed_by_box(cbor2.dumps([1, {}]), b"device "), "seal does not hold"),
        (sealed_by_box(cbor2.dumps({1: 1})), "no pair"),
        (sealed_by_box(cbor2.dumps([1, 2])), "no map"),
        (sealed_by_box(b"\xff"), "no CBOR"),
        (b"", "no CBOR"),
        (cbor2.dumps([1, 2]), "no COSE_Mac0"),
        (cbor2.dumps(cbor2.CBORTag(17, [1, 2])), "list of four"),
        (cbor2.dumps(cbor2.CBORTag(17, [b"\xa1\x01\x05", {}, b"", b""])), "key id"),
        (
            cbor2.dumps(cbor2.CBORTag(17, [b"\xa1\x01\x05", {4: BOX.encode()}, 1, b""])),
            "without payload",
        ),
    ],
)
def test_what_is_not_the_boxs_next_message_breaks_the_channel(sealed, reason):
    with pytest.raises(ChannelBroken, match=reason):
        seals().open(sealed)


def test_a_message_comes_once():
    emt, sealed = seals(), sealed_by_box(cbor2.dumps([1, {}]))
    emt.open(sealed)
    with pytest.raises(ChannelBroken):
        emt.open(sealed)


def test_any_flipped_bit_breaks_the_channel():
    sealed = sealed_by_box(cbor2.dumps([1, {0: 4, 1: 7, 2: 0, 3: None, 4: ""}]))
    for index in range(len(sealed) * 8):
        bad = bytearray(sealed)
        bad[index // 8] ^= 1 << index % 8
        with pytest.raises(ChannelBroken):
            seals().open(bytes(bad))


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_any_bytes_are_refused_and_nothing_else(data):
    with pytest.raises(ChannelBroken):
        seals().open(data)
    with pytest.raises(ChannelBroken):
        cls_seal.device_open(data)


def test_the_openings_of_both_ends_fit():
    assert cls_seal.device_open(box.opening(BOX, DEVICE)) == (BOX, DEVICE)
    assert box.nonce_of(cls_seal.emt_open(EMT)) == EMT
    for bad in ({}, {0: 15, 1: 2, 2: BOX, 3: DEVICE}, {0: 15, 1: 1, 2: 5, 3: DEVICE}):
        with pytest.raises(ChannelBroken):
            cls_seal.device_open(cbor2.dumps(bad))
    with pytest.raises(ChannelBroken, match="nonce of 15 bytes"):
        cls_seal.device_open(cbor2.dumps({0: 15, 1: 1, 2: BOX, 3: DEVICE[1:]}))


def test_both_ends_understand_each_other():
    emt, device = seals(), box.Seals(KEY, BOX, DEVICE, EMT)
    for number in range(300):
        message = {0: 5, 2: number, 3: bytes(number)}
        assert emt.open(device.seal(message)) == message
        assert device.open(emt.seal(message)) == message


contents = st.lists(st.one_of(st.binary(max_size=40), st.binary(min_size=250, max_size=300)))


@given(contents=contents, cuts=st.lists(st.integers(0, 2000), max_size=10))
@settings(max_examples=80)
def test_envelopes_come_out_as_they_went_in_in_any_chunking(contents, cuts):
    data = b"".join(box.envelope(content) for content in contents)
    assert data == b"".join(cls_seal.envelope(content) for content in contents)
    receiver, found = EnvelopeReceiver(), []
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in zip(places, places[1:], strict=False):
        found += receiver.feed(data[begin:end])
    assert found == contents and not receiver.fault


@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
@settings(max_examples=80)
def test_any_bytes_are_envelopes_or_one_fault(data, cut):
    whole, parts = EnvelopeReceiver(), EnvelopeReceiver()
    assert whole.feed(data) == parts.feed(data[:cut]) + parts.feed(data[cut:])
    assert whole.fault == parts.fault
    if whole.fault:
        assert whole.feed(box.envelope(b"x")) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xa0", "begins no envelope"),
        (b"\x5a\x00\x00\x01\x00", "begins no envelope"),
        (b"\x58\x17", "shortest"),
        (b"\x59\x00\xff", "shortest"),
        (b"\x59\x04\x01", "1025 bytes"),
    ],
)
def test_an_envelope_against_the_rules_ends_the_stream(data, reason):
    receiver = EnvelopeReceiver()
    assert receiver.feed(data) == [] and reason in receiver.fault
