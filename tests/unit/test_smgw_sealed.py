"""A sequence of sealed device records is split byte for byte, and what is none is refused."""

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smgw_core_kit import CLS

from clsbench.smgw.core.sealed import NotSealed, split_sequence


def sealed(seq, **more):
    payload = cbor2.dumps({1: seq, **({6: more["cls_id"]} if more else {})})
    return cbor2.dumps(cbor2.CBORTag(17, [b"\xa1\x01\x05", {4: b"id"}, payload, bytes(32)]))


def test_sealed_records_are_split_byte_for_byte():
    first, second = sealed(3), sealed(4, cls_id=CLS)
    records = split_sequence(first + second)
    assert [(r.seq, r.cls_id, r.sealed) for r in records] == [(3, None, first), (4, CLS, second)]


@pytest.mark.parametrize(
    "body", [b"\x00", b"\xff", sealed(1)[:-1], sealed(0), sealed("1"), b"\xd1\x80", b"{}" * 9]
)
def test_what_is_no_sealed_record_is_refused(body):
    with pytest.raises(NotSealed):
        split_sequence(body)


@given(st.binary(max_size=80))
@settings(max_examples=150)
def test_splitting_is_total(body):
    try:
        records = split_sequence(body)
    except NotSealed:
        return
    assert b"".join(record.sealed for record in records) == body
