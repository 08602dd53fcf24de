"""Signed content read back: whatever was signed, it is a gateway record or a BadInput."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.errors import BadInput
from clsbench.smgw.core.records import content_bytes, read_content

RECORD = {
    "type": "taf16",
    "smgw_id": "ETST0010000001",
    "profile_id": "taf16-1",
    "seq": 1,
    "uuid": "0f3c1a52-7b1e-4a6a-9d53-2a54b1a7c001",
    "text": "Überschuss",
    "values": [],
}


def test_what_was_signed_is_read_back():
    assert read_content(content_bytes(RECORD)) == RECORD


@pytest.mark.parametrize("changed", [{"uuid": None}, {"type": "taf7"}, {"seq": 2**53}, {"new": 1}])
def test_what_is_not_looked_at_is_let_through(changed):
    assert read_content(content_bytes(RECORD | changed)) == RECORD | changed


@pytest.mark.parametrize("absent", ["type", "smgw_id", "profile_id", "seq"])
def test_a_record_without_its_identity_is_refused(absent):
    content = {name: value for name, value in RECORD.items() if name != absent}
    with pytest.raises(BadInput, match=f"signed content is no gateway record: {absent}: expected"):
        read_content(content_bytes(content))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "taf8"),
        ("type", 7),
        ("smgw_id", None),
        ("smgw_id", ["ETST0010000001"]),
        ("profile_id", "x" * 257),
        ("profile_id", "\ud800"),
        ("seq", 0),
        ("seq", -1),
        ("seq", True),
        ("seq", 1.0),
        ("seq", "1"),
        ("seq", 2**64),
        ("uuid", 5),
        ("uuid", "no"),
        ("uuid", {}),
    ],
)
def test_a_field_that_a_store_could_not_take_is_named(name, value):
    with pytest.raises(BadInput, match=f"no gateway record: {name}: "):
        read_content(json.dumps(RECORD | {name: value}).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"NaN x"])
def test_what_is_no_json_is_refused(content):
    with pytest.raises(BadInput, match="signed content is not JSON"):
        read_content(content)


@pytest.mark.parametrize("content", [b"[]", b"5", b"null", b'"taf7"', b"NaN"])
def test_json_that_is_no_object_is_refused(content):
    with pytest.raises(BadInput, match="no gateway record: body: expected a JSON object"):
        read_content(content)


@given(st.binary(max_size=60))
@settings(max_examples=100)
def test_reading_is_total(content):
    with pytest.raises(BadInput):
        read_content(content)
