"""Our seal against hmac and cbor2, both ways; records and envelopes against docs/wire.cddl."""

import hashlib
import hmac
from pathlib import Path

import cbor2
import pycddl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicamm.metering import record
from dicamm.metering.reading import Reading
from dicamm.proto import cbor
from dicamm.proto.cose import CoseError, HmacSha256, Mac0

CDDL = (Path(__file__).parents[2] / "docs" / "wire.cddl").read_text(encoding="utf-8")
KEY = bytes(range(32))
KID = b"ETST0020000017"
UTC_MS = 1_790_000_000_000

TAF16 = {
    1: 1,
    2: 16,
    3: bytes(range(16)),
    4: 1,
    5: "Abruf 7 für Pool Süd",
    6: "ETST0020000017",
    7: "1EAS0012345678",
    8: [
        [bytes.fromhex("0100010800ff"), 1234567, -2, 30],
        [b"\x01\x00\x10\x07\x00\xff", -5, 0, 27],
    ],
    9: UTC_MS,
    10: UTC_MS - 40,
    11: [1, 500],
    12: 0,
    13: bytes(8),
}
TAF7 = {key: value for key, value in TAF16.items() if key not in (3, 4, 5)} | {2: 7}
WITHOUT_TIME = {key: value for key, value in TAF16.items() if key != 9} | {11: [0, None]}

NO_RECORDS = [
    {},
    *(
        {key: value for key, value in TAF16.items() if key != left_out}
        for left_out in (1, 3, 4, 8)
    ),
    TAF16 | {1: -1},
    TAF16 | {2: 14},
    TAF16 | {3: bytes(15)},
    TAF16 | {4: 11},
    TAF16 | {5: "x" * 65},
    TAF16 | {5: ""},
    TAF16 | {8: [[bytes(5), 1, 0, 30]]},
    TAF16 | {8: [[bytes(6), 1.0, 0, 30]]},
    TAF16 | {8: [[bytes(6), 1, 0]]},
    TAF16 | {8: [[bytes(6), 1, 0, 256]]},
    TAF16 | {9: -1},
    TAF16 | {11: [3, 0]},
    TAF16 | {13: bytes(7)},
    TAF16 | {14: 0},
    TAF7 | {3: bytes(16)},
    TAF16 | {2: 7},
    {key: value for key, value in TAF7.items() if key != 10},
]


def schema(rule):
    return pycddl.Schema(f"root = {rule}\n{CDDL}")


RECORD = schema("record")
RULES = {7: schema("taf7-record"), 16: schema("taf16-record")}
SEALED = schema("sealed-record")

keys = st.binary(min_size=16, max_size=140)
kids = st.binary(max_size=30)
payloads = st.binary(max_size=300)


def seal_elsewhere(key, kid, payload):
    """COSE_Mac0 by the letter of RFC 9052, with nothing of ours."""
    protected = cbor2.dumps({1: 5})
    to_be_maced = cbor2.dumps(["MAC0", protected, b"", payload])
    tag = hmac.new(key, to_be_maced, hashlib.sha256).digest()
    return cbor2.dumps(cbor2.CBORTag(17, [protected, {4: kid}, payload, tag]))


@settings(max_examples=100)
@given(st.binary(max_size=200), st.binary(max_size=80), st.binary(max_size=300))
def test_hmac_is_that_of_the_standard_library(key, prefix, message):
    expected = hmac.new(key, prefix + message, hashlib.sha256).digest()
    assert HmacSha256(key, prefix).mac(message) == expected


@settings(max_examples=100)
@given(keys, kids, payloads)
def test_seal_is_the_one_made_elsewhere(key, kid, payload):
    assert Mac0(key, kid).seal(payload) == seal_elsewhere(key, kid, payload)


@settings(max_examples=100)
@given(keys, kids, payloads)
def test_seal_made_elsewhere_opens(key, kid, payload):
    assert Mac0(key, kid).open(seal_elsewhere(key, kid, payload)) == payload


@settings(max_examples=150)
@given(payloads, st.data())
def test_any_changed_byte_is_refused(payload, data):
    sealed = bytearray(Mac0(KEY, KID).seal(payload))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CoseError):
        Mac0(KEY, KID).open(bytes(sealed))


@settings(max_examples=150)
@given(st.binary(max_size=120))
def test_any_bytes_are_refused_with_the_one_error(data):
    with pytest.raises(CoseError):
        Mac0(KEY, KID).open(data)


@pytest.mark.parametrize("encode", [cbor.encode, cbor2.dumps], ids=["own", "cbor2"])
@pytest.mark.parametrize("fields", [TAF16, TAF7, WITHOUT_TIME], ids=["16", "7", "no-time"])
def test_record_fits_the_cddl(fields, encode):
    RECORD.validate_cbor(encode(fields))
    RULES[fields[2]].validate_cbor(encode(fields))


@pytest.mark.parametrize("fields", NO_RECORDS, ids=range(len(NO_RECORDS)))
def test_other_records_do_not_fit_the_cddl(fields):
    # against its own rule: within a choice the validator overlooks entries too many
    with pytest.raises(pycddl.ValidationError):
        RULES.get(fields.get(2), RECORD).validate_cbor(cbor2.dumps(fields))


def test_records_of_the_device_fit_the_cddl():
    identity = (TAF16[6], TAF16[7])
    known = Reading(TAF16[8], UTC_MS, 5000, 0, 1, 500)
    unset = Reading(TAF16[8], None, 5000, 0, 0, None)
    nothing = Reading([], UTC_MS, 5000, record.NO_VALUES | record.STEPPED, 2, 30000)
    for payload in (
        record.encode(1, 16, identity, known, bytes(8), bytes(16), 1, "text", UTC_MS),
        record.encode(2, 16, identity, known, bytes(8), bytes(16), 2, "", None),
        record.encode(3, 16, identity, unset, bytes(8), bytes(16), 7, None, None),
        record.encode(4, 7, identity, known, bytes(8), None, None, None, UTC_MS),
        record.encode(5, 7, identity, nothing, bytes(8), event_ms=UTC_MS, cause=70),
        record.encode(6, 7, identity, nothing, bytes(8), event_ms=UTC_MS, first_due_ms=9, cause=1),
        record.encode(7, 16, identity, nothing, bytes(8), bytes(16), record.METER_FAULT, cause=20),
    ):
        RECORD.validate_cbor(payload)


def test_envelope_fits_the_cddl():
    payload = cbor.encode(TAF16)
    SEALED.validate_cbor(Mac0(KEY, KID).seal(payload))
    SEALED.validate_cbor(seal_elsewhere(KEY, KID, payload))


@pytest.mark.parametrize(
    "value",
    [
        cbor2.CBORTag(18, [b"\xa1\x01\x05", {4: KID}, b"", bytes(32)]),
        cbor2.CBORTag(17, [b"\xa1\x01\x05", {}, b"", bytes(32)]),
        cbor2.CBORTag(17, [b"\xa1\x01\x05", {4: KID}, b"", bytes(16)]),
        cbor2.CBORTag(17, [b"\xa1\x01\x05", {4: KID}, b""]),
        [b"\xa1\x01\x05", {4: KID}, b"", bytes(32)],
    ],
    ids=["tag", "kid", "mac-size", "length", "untagged"],
)
def test_other_envelopes_do_not_fit_the_cddl(value):
    with pytest.raises(pycddl.ValidationError):
        SEALED.validate_cbor(cbor2.dumps(value))
