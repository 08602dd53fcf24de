"""The wake-up message: bit for bit as published, and each reason why one is not followed."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.errors import BadInput
from clsbench.meters.device_id import server_id
from clsbench.smgw.core import wakeup
from clsbench.smgw.core.wakeup import (
    HIGH_FIRST,
    LOW_FIRST,
    REASONS,
    Accepted,
    WakeUpRefused,
    assemble,
    check_fresh,
    check_signature,
    head,
    judge,
    make,
    read,
    recipient_id,
)

SMGW = "EBSI0012345678"
PUBLISHED_S = 1_342_177_280  # "13 July 2012 11:01:20 UTC" of the detail specification
# WU, version 1, 0E BSI 00 12345678, the time stamp, twelve times 0B
HIGH = bytes.fromhex("5755010e4253490000bc614e0000000050000000" + "0b" * 12)
LOW = bytes.fromhex("5755010e4253490000bc614e0000005000000000" + "0b" * 12)
# plain format, length 0A, 0.4.0.127.0.7.1.1.4.1.3
BEFORE_SIGNATURE = bytes.fromhex("010a04007f00070101040103")
CURVES = [ec.BrainpoolP256R1(), ec.SECP256R1()]
KEYS = {curve.name: ec.generate_private_key(curve) for curve in CURVES}
KEY = KEYS["brainpoolP256r1"]
GOOD = make(SMGW, PUBLISHED_S, KEY)


def refused(reason: str, message: bytes) -> None:
    """Every step a gateway takes, in its order, ends with this reason."""
    with pytest.raises(WakeUpRefused) as told:
        followed(message)
    assert told.value.reason == reason and str(told.value)


def followed(message: bytes, now_s: int | None = PUBLISHED_S, window_s: int = 60, last=None):
    taken = read(message)
    accepted = judge(taken, SMGW, now_s, window_s)
    check_signature(taken, KEY.public_key())
    check_fresh(accepted, last)
    return accepted


def altered(at: int, value: bytes, message: bytes = GOOD) -> bytes:
    return message[:at] + value + message[at + len(value) :]


@pytest.mark.parametrize(("order", "published"), [(HIGH_FIRST, HIGH), (LOW_FIRST, LOW)])
def test_the_published_example_is_met_bit_for_bit_in_both_byte_orders(order, published):
    assert head(SMGW, PUBLISHED_S, order) == published
    taken = read(assemble(published, bytes(64)))
    assert taken.head == published and taken.recipient == SMGW
    assert taken.utc_s(order) == PUBLISHED_S
    assert judge(taken, SMGW, PUBLISHED_S + 60, 60) == Accepted(PUBLISHED_S, order)


@pytest.mark.parametrize("curve", sorted(KEYS))
@pytest.mark.parametrize("order", [LOW_FIRST, HIGH_FIRST])
def test_a_message_has_108_bytes_and_a_plain_signature_over_the_first_32(curve, order):
    message = make(SMGW, PUBLISHED_S, KEYS[curve], order)
    assert len(message) == 108 and message[32:44] == BEFORE_SIGNATURE
    r, s = (int.from_bytes(message[at : at + 32], "big") for at in (44, 76))
    signature, public = encode_dss_signature(r, s), KEYS[curve].public_key()
    public.verify(signature, message[:32], ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        public.verify(signature, message[:31], ec.ECDSA(hashes.SHA256()))
    check_signature(read(message), public)


@given(
    letters=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3),
    block=st.integers(0, 99),
    number=st.integers(0, 99_999_999),
    utc_s=st.integers(-(2**63), 2**63 - 1),
    order=st.sampled_from([LOW_FIRST, HIGH_FIRST]),
)
@settings(max_examples=100, deadline=None)
def test_what_is_made_is_read_back(letters, block, number, utc_s, order):
    smgw = f"E{letters}{block:02d}{number:08d}"
    taken = read(assemble(head(smgw, utc_s, order), bytes(64)))
    assert taken.recipient == smgw and taken.utc_s(order) == utc_s
    assert recipient_id(smgw) == taken.head[3:12]


@pytest.mark.parametrize(("printed", "block"), [("09", 9), ("10", 10), ("16", 16), ("99", 99)])
def test_the_block_is_that_of_the_server_id(printed, block):
    smgw = f"EBSI{printed}12345678"
    assert recipient_id(smgw) == server_id(smgw)[1:]
    assert recipient_id(smgw)[4] == block
    assert read(make(smgw, PUBLISHED_S, KEY)).recipient == smgw


@pytest.mark.parametrize("block", [100, 0xFE])
def test_a_block_without_printed_form_is_somebody_else(block):
    message = altered(7, bytes((block,)))
    assert read(message).recipient == "0a" + message[3:12].hex()
    refused(wakeup.OTHER_RECIPIENT, message)


@given(st.binary(max_size=300) | st.tuples(st.integers(0, 107), st.binary(max_size=9)))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused_with_a_reason(data):
    message = altered(*data) if isinstance(data, tuple) else data
    reason, taken = None, None
    try:
        taken = read(message)
    except WakeUpRefused as refusal:
        reason = refusal.reason
    if taken is None:
        assert reason in REASONS
    else:
        assert assemble(taken.head, taken.signature) == message


def test_every_flipped_bit_is_refused():
    for bit in range(len(GOOD) * 8):
        broken = bytearray(GOOD)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WakeUpRefused):
            followed(bytes(broken))


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        (wakeup.LENGTH, b""),
        (wakeup.LENGTH, GOOD[:33]),
        (wakeup.LENGTH, GOOD + bytes(200)),
        (wakeup.NO_HEADER, altered(0, b"UW")),
        (wakeup.NO_VERSION, altered(2, b"\x02")),
        (wakeup.NO_RECIPIENT, altered(3, b"\x0d")),
        (wakeup.NO_RECIPIENT, altered(4, b"bsi")),
        (wakeup.NO_RECIPIENT, altered(7, b"\xff")),
        (wakeup.NO_RECIPIENT, altered(8, (100_000_000).to_bytes(4, "big"))),
        (wakeup.NO_PADDING, altered(31, b"\x00")),
        (wakeup.NO_FORMAT, altered(32, b"\x02")),
        (wakeup.NO_ALGORITHM, altered(33, b"\x09")),
        (wakeup.NO_ALGORITHM, altered(33, b"\xff")),
        (wakeup.NO_ALGORITHM, altered(43, b"\x04")),
        (wakeup.NO_SIGNATURE_LENGTH, GOOD[:-1]),
        (wakeup.NO_SIGNATURE_LENGTH, GOOD + b"\x00"),
        (wakeup.OTHER_RECIPIENT, altered(11, b"\x4f")),
        (wakeup.OUTSIDE_WINDOW, make(SMGW, PUBLISHED_S - 61, KEY)),
        (wakeup.OUTSIDE_WINDOW, make(SMGW, PUBLISHED_S + 61, KEY, HIGH_FIRST)),
        (wakeup.BAD_SIGNATURE, make(SMGW, PUBLISHED_S, KEYS["secp256r1"])),
        (wakeup.BAD_SIGNATURE, altered(44, bytes(64))),
        (wakeup.BAD_SIGNATURE, altered(44, b"\xff" * 64)),
    ],
)
def test_each_fault_has_its_reason(reason, message):
    refused(reason, message)


@pytest.mark.parametrize("order", [LOW_FIRST, HIGH_FIRST])
@pytest.mark.parametrize("off_s", [-60, 0, 60])
def test_the_order_that_lies_in_the_window_counts(order, off_s):
    message = make(SMGW, PUBLISHED_S + off_s, KEY, order)
    assert followed(message) == Accepted(PUBLISHED_S + off_s, order)


def test_a_window_is_a_day_at_most():
    with pytest.raises(WakeUpRefused):
        followed(GOOD, PUBLISHED_S + 90_000, window_s=10**9)


def test_without_a_clock_no_message_is_followed():
    with pytest.raises(WakeUpRefused) as told:
        followed(GOOD, now_s=None)
    assert told.value.reason == wakeup.CLOCK_UNSET


def test_a_time_stamp_that_is_not_later_is_a_replay_whatever_its_signature():
    again = make(SMGW, PUBLISHED_S, KEY)
    assert again != GOOD  # another signature over the same head
    for message, last in ((GOOD, PUBLISHED_S), (again, PUBLISHED_S), (GOOD, PUBLISHED_S + 1)):
        with pytest.raises(WakeUpRefused) as told:
            followed(message, last=last)
        assert told.value.reason == wakeup.REPLAY
    assert followed(GOOD, last=PUBLISHED_S - 1).utc_s == PUBLISHED_S


def test_a_key_on_a_curve_that_is_not_for_it_neither_signs_nor_verifies():
    other = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(BadInput, match="secp384r1"):
        make(SMGW, PUBLISHED_S, other)
    with pytest.raises(WakeUpRefused) as told:
        check_signature(read(GOOD), other.public_key())
    assert told.value.reason == wakeup.NO_SIGNATURE_LENGTH


@pytest.mark.parametrize(
    "smgw", ["1EMH0098765432", "EBSIFF12345678", "EBSI0C12345678", "EBSI001234567", "ebsi00123"]
)
def test_an_id_that_is_no_gateways_makes_no_message(smgw):
    with pytest.raises(BadInput, match="gateway id"):
        head(smgw, PUBLISHED_S)


def test_a_time_that_does_not_fit_makes_no_message():
    with pytest.raises(BadInput, match="64 bits"):
        head(SMGW, 2**63)
    with pytest.raises(BadInput, match="one of"):
        head(SMGW, 0, "middle-first")
