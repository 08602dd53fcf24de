"""Runs on CPython (pytest) and on MicroPython (tools/run_dual.py): plain functions, asserts."""

from dicamm.proto import cbor
from dicamm.proto.cbor import Tag
from dicamm.proto.cose import MIN_KEY, CoseError, HmacSha256, Mac0, same

# RFC 4231 section 4: key, data, first bytes of HMAC-SHA-256 (case 5 is printed truncated)
RFC_4231 = (
    (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        b"\x0c" * 20,
        b"Test With Truncation",
        "a3b6167473100ee06e0c796c2955552b",
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data."
        b" The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
)

# COSE working group examples, mac0-tests/HMac-01: key, content and tag. There the key id is not in
# the message; the tag does not cover it.
COSE_KEY = bytes.fromhex("849b57219dae48de646d07dbb533566e976686457c1491be3a76dcea6c427188")
COSE_TAG = "a1a848d3471f9d61ee49018d244c824772f223ad4f935293f1789fc3a08d8c58"
COSE_SEALED = bytes.fromhex(
    "d184"  # COSE_Mac0, array of four
    "43a10105"  # protected: alg HMAC 256/256
    "a1044a6f75722d736563726574"  # unprotected: kid "our-secret"
    "54546869732069732074686520636f6e74656e742e"  # "This is the content."
    "5820" + COSE_TAG
)

KEY = bytes(range(32))
KID = b"ETST0020000017"


def refusal(sealed, mac0=None):
    try:
        (mac0 or Mac0(KEY, KID)).open(sealed)
    except CoseError as error:
        return str(error)
    raise AssertionError("opened")


def test_hmac_gives_the_values_of_rfc_4231():
    for key, data, expected in RFC_4231:
        assert HmacSha256(key).mac(data).hex()[: len(expected)] == expected


def test_hmac_with_a_prefix_is_hmac_of_the_whole():
    key, data, expected = RFC_4231[1]
    for cut in range(len(data)):
        assert HmacSha256(key, data[:cut]).mac(data[cut:]).hex() == expected


def test_hmac_key_may_be_used_many_times():
    hmac = HmacSha256(KEY)
    assert hmac.mac(b"a") == hmac.mac(b"a") != hmac.mac(b"b")


def test_seal_gives_the_published_cose_example():
    assert Mac0(COSE_KEY, b"our-secret").seal(b"This is the content.") == COSE_SEALED


def test_published_cose_example_opens():
    assert Mac0(COSE_KEY, b"our-secret").open(COSE_SEALED) == b"This is the content."


def test_what_is_sealed_opens():
    mac0 = Mac0(KEY, KID)
    for size in (0, 1, 23, 24, 55, 56, 200, 255, 256, 1024):
        payload = bytes([size & 0xFF]) * size
        assert mac0.open(mac0.seal(payload)) == payload


def test_bytes_like_payload_seals_as_bytes():
    mac0 = Mac0(KEY, KID)
    assert mac0.seal(bytearray(b"abc")) == mac0.seal(memoryview(b"abc")) == mac0.seal(b"abc")
    assert mac0.open(bytearray(mac0.seal(b"abc"))) == b"abc"


def test_any_flipped_bit_is_refused():
    sealed = Mac0(KEY, KID).seal(b"reading 4711")
    for position in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[position] ^= 1 << bit
            refusal(bytes(changed))


def test_any_truncation_and_any_addition_is_refused():
    sealed = Mac0(KEY, KID).seal(b"reading 4711")
    for size in range(len(sealed)):
        assert refusal(sealed[:size]).startswith("form: ")
    assert refusal(sealed + b"\x00") == "form: bytes behind the item at byte %d" % len(sealed)


def test_refusal_says_which_part():
    tag = bytes(32)
    for value, expected in (
        ([b"\xa1\x01\x05", {4: KID}, b"", tag], "form: no tagged COSE_Mac0"),
        (Tag(17, {1: 2}), "form: no tagged COSE_Mac0"),
        (Tag(17, [b"\xa1\x01\x05", {4: KID}, b""]), "form: no array of four"),
        (
            Tag(17, [b"\xa1\x01\x05", {4: KID}, None, tag]),
            "form: payload and 32-byte tag expected",
        ),
        (Tag(17, [b"\xa1\x01\x05", {4: KID}, b"", tag[:8]]), "form: payload and 32"),
        (Tag(17, [b"\xa1\x01\x04", {4: KID}, b"", tag]), "algorithm is not"),
        (Tag(17, [b"", {4: KID}, b"", tag]), "algorithm is not"),
        (Tag(17, [b"\xa1\x01\x05", {4: b"other"}, b"", tag]), "key id is another"),
        (Tag(17, [b"\xa1\x01\x05", {}, b"", tag]), "key id is another"),
        (Tag(17, [b"\xa1\x01\x05", {4: KID, 5: 0}, b"", tag]), "key id is another"),
        (Tag(17, [b"\xa1\x01\x05", {4: KID}, b"", tag]), "tag does not fit"),
    ):
        assert refusal(cbor.encode(value)).startswith(expected), expected


def test_other_key_and_other_key_id_do_not_open():
    sealed = Mac0(KEY, KID).seal(b"x")
    assert refusal(sealed, Mac0(bytes(reversed(KEY)), KID)).startswith("tag does not fit")
    assert refusal(sealed, Mac0(KEY, b"ETST0020000018")).startswith("key id is another")


def test_short_key_is_refused():
    Mac0(bytes(MIN_KEY), KID)
    for size in (0, MIN_KEY - 1):
        try:
            Mac0(bytes(size), KID)
            raise AssertionError("accepted")
        except ValueError as error:
            assert "sealing key of %d bytes" % size in str(error)


def test_text_is_no_payload():
    try:
        Mac0(KEY, KID).seal("text")
        raise AssertionError("accepted")
    except TypeError:
        pass


def test_comparison_looks_at_every_byte_and_at_the_length():
    assert same(b"", b"") and same(b"abc", b"abc")
    for other in (b"", b"ab", b"abcd", b"abd", b"bbc", b"aBc"):
        assert not same(b"abc", other)
