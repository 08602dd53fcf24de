"""What travels in the CLS channel, from both ends, against docs/wire.cddl."""

from pathlib import Path

import cbor2
import pycddl
import pytest

from clsbench.emt import cls_seal
from dicamm.link import channel

CDDL = (Path(__file__).parents[2] / "docs" / "wire.cddl").read_text(encoding="utf-8")
KEY, BOX, OWN, THEIRS = bytes(range(32)), "ETST0020000017", bytes(16), bytes(range(16))


def schema(rule):
    return pycddl.Schema(f"root = {rule}\n{CDDL}")


def sealed(message):
    return channel.Seals(KEY, BOX, OWN, THEIRS).seal(message)


@pytest.mark.parametrize(
    ("rule", "content"),
    [
        ("device-open", channel.opening(BOX, OWN)),
        ("emt-open", cls_seal.emt_open(THEIRS)),
        ("sealed-message", sealed({0: 4, 1: 7, 2: 14, 3: None, 4: ""})),
        ("sealed-message", cls_seal.Seals(KEY, BOX, OWN, THEIRS).seal({0: 1, 1: 9})),
        (
            "sealed-message",
            cls_seal.Seals(KEY, BOX, OWN, THEIRS).seal({0: 6, 1: 9, 2: 3, 3: [[4, 9]], 4: 12}),
        ),
    ],
)
def test_both_ends_write_what_the_cddl_says(rule, content):
    schema(rule).validate_cbor(content)
    if rule == "sealed-message":
        schema("numbered-message").validate_cbor(cbor2.loads(content).value[2])
    for root in ("channel-envelope", "wire"):
        schema(root).validate_cbor(channel.envelope(content))
        schema(root).validate_cbor(cls_seal.envelope(content))


@pytest.mark.parametrize(
    ("rule", "content"),
    [
        ("device-open", cbor2.dumps({0: 15, 1: 2, 2: BOX, 3: OWN})),
        ("device-open", cbor2.dumps({0: 15, 1: 1, 2: BOX, 3: OWN[1:]})),
        ("emt-open", channel.opening(BOX, OWN)),
        ("numbered-message", cbor2.loads(sealed({0: 99, 1: 7})).value[2]),
        ("sealed-message", cbor2.dumps({0: 1, 1: 9})),
    ],
)
def test_anything_else_does_not_fit(rule, content):
    with pytest.raises(pycddl.ValidationError):
        schema(rule).validate_cbor(content)
