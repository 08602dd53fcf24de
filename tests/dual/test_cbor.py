"""Runs on CPython (pytest) and on MicroPython (tools/run_dual.py): plain functions, asserts."""

from dicamm.proto import cbor
from dicamm.proto.cbor import CborError, Tag

# RFC 8949 appendix A: every example whose value the module knows
APPENDIX_A = (
    (0, "00"),
    (1, "01"),
    (10, "0a"),
    (23, "17"),
    (24, "1818"),
    (25, "1819"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1, "20"),
    (-10, "29"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("a", "6161"),
    ("IETF", "6449455446"),
    ('"\\', "62225c"),
    ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"),
    ("\U00010151", "64f0908591"),
    ([], "80"),
    ([1, 2, 3], "83010203"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({1: 2, 3: 4}, "a201020304"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    (["a", {"b": "c"}], "826161a161626163"),
    (
        {"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"},
        "a56161614161626142616361436164614461656145",
    ),
)

APPENDIX_A_TAGS = (
    (0, "2013-03-21T20:04:00Z", "c074323031332d30332d32315432303a30343a30305a"),
    (1, 1363896240, "c11a514b67b0"),
    (23, b"\x01\x02\x03\x04", "d74401020304"),
    (24, b"dIETF", "d818456449455446"),
    (32, "http://www.example.com", "d82076687474703a2f2f7777772e6578616d706c652e636f6d"),
)

# RFC 8949 appendix A and F: well-formed or not, none of it is deterministic CBOR of the known part
REFUSED = (
    # nothing, or too little
    "",
    "18",
    "1900",
    "1a0000",
    "1b00000000000000",
    "41",
    "4201",
    "61",
    "81",
    "8201",
    "a1",
    "a101",
    "d1",
    "5affffffff00",
    "5bffffffffffffffff010203",
    "7b7fffffffffffffff010203",
    "9affffffff00",
    "9bffffffffffffffff",
    "bbffffffffffffffff",
    # reserved additional information
    "1c",
    "1d",
    "1e",
    "3c",
    "5c",
    "7d",
    "9e",
    "bc",
    "dd",
    "fc",
    # indefinite lengths and a lone break
    "5f42010243030405ff",
    "7f657374726561646d696e67ff",
    "9fff",
    "9f01ff",
    "bf61610161629f0203ffff",
    "1f",
    "3f",
    "df",
    "ff",
    "81ff",
    # floats, undefined, other simple values
    "f90000",
    "f93c00",
    "fa47c35000",
    "fb3ff199999999999a",
    "f97e00",
    "f7",
    "e0",
    "f0",
    "f8ff",
    "f818",
    "f814",
    # longer than needed
    "1800",
    "1817",
    "190018",
    "1900ff",
    "1a0000ffff",
    "1b00000000ffffffff",
    "3817",
    "580161",
    "780161",
    "980100",
    "b8010000",
    "d81180",
    # maps: order, repetition, keys without a Python key
    "a203040102",
    "a201020102",
    "a2616201616101",
    "a1f500",
    "a1f600",
    "a1800000",
    "a1a00000",
    "a1d10000",
    # tags that nobody asked for, bignums among them
    "c11a514b67b0",
    "c249010000000000000000",
    "d9d9f700",
    # text that is not UTF-8: lone continuation, overlong, surrogate, beyond U+10FFFF, cut short
    "6180",
    "62c080",
    "63e08080",
    "63eda080",
    "64f4908080",
    "64f0808080",
    "65f888808080",
    "62e6b0",
    "61ff",
    # more than one item
    "0000",
    "8000",
)


def reason_of(data, *tags):
    try:
        cbor.decode(data, *tags)
    except CborError as error:
        assert isinstance(error, ValueError)
        assert 0 <= error.position <= len(data)
        assert str(error) == "%s at byte %d" % (error.reason, error.position)
        return error.reason
    raise AssertionError("accepted " + data.hex())


def refusal_of(value):
    try:
        cbor.encode(value)
    except (TypeError, ValueError) as error:
        return type(error)
    raise AssertionError("encoded " + repr(value))


def test_appendix_a_is_encoded_as_printed():
    for value, text in APPENDIX_A:
        assert cbor.encode(value).hex() == text, text


def test_appendix_a_is_decoded_as_printed():
    for value, text in APPENDIX_A:
        found = cbor.decode(bytes.fromhex(text))
        assert found == value and type(found) is type(value), text


def test_tags_of_appendix_a_both_ways():
    for number, value, text in APPENDIX_A_TAGS:
        data = bytes.fromhex(text)
        assert cbor.encode(Tag(number, value)) == data
        assert cbor.decode(data, (number,)) == Tag(number, value)


def test_only_the_cose_mac0_tag_is_accepted_unasked():
    assert cbor.decode(b"\xd1\x80") == Tag(17, [])
    assert reason_of(b"\xd2\x80") == "unknown tag 18"
    assert reason_of(b"\xd1\x80", ()) == "unknown tag 17"


def test_everything_else_is_one_typed_error():
    for text in REFUSED:
        reason_of(bytes.fromhex(text))


def test_every_truncation_is_refused():
    whole = cbor.encode({1: [b"abc", "d", -500, None], 2: {3: 1 << 40}, "x": Tag(17, [True])})
    for size in range(len(whole)):
        assert reason_of(whole[:size]) == "truncated"


def test_error_names_reason_and_place():
    for text, reason, position in (
        ("8201f93c00", "float or simple value", 2),
        ("82019fff", "indefinite length", 2),
        ("83011817", "not the shortest form", 2),
        ("a203040102", "map keys repeated or not in order", 3),
        ("8261614401", "truncated", 5),
        ("820102f6", "bytes behind the item", 3),
        ("8162c080", "text is not UTF-8", 1),
        ("82015c", "reserved head", 2),
    ):
        try:
            cbor.decode(bytes.fromhex(text))
            raise AssertionError("accepted " + text)
        except CborError as error:
            assert (error.reason, error.position) == (reason, position), text


def test_map_entries_are_sorted_by_encoded_key():
    mixed = {"aa": 1, "b": 2, b"c": 3, -1: 4, 100: 5, 10: 6, 24: 7}
    assert cbor.encode(mixed).hex() == "a70a06181807186405200441630361620262616101"
    assert cbor.decode(cbor.encode(mixed)) == mixed


def test_bytes_like_and_tuple_encode_as_bytes_and_array():
    assert cbor.encode(bytearray(b"ab")) == cbor.encode(memoryview(b"ab")) == b"\x42ab"
    assert cbor.encode((1, 2)) == b"\x82\x01\x02"


def test_decoder_reads_bytearray_and_memoryview():
    data = cbor.encode([1, b"ab", {"k": "v"}])
    for kind in (bytearray, memoryview):
        found = cbor.decode(kind(data))
        assert found == [1, b"ab", {"k": "v"}] and type(found[1]) is bytes


def test_floats_and_foreign_types_are_type_errors():
    for value in (1.0, [0.5], {1: 2.5}, {1.5: 1}, object(), {1}, {True: 1}, {None: 1}, {(1,): 1}):
        assert refusal_of(value) is TypeError


def test_integers_beyond_64_bit_are_refused():
    assert refusal_of(1 << 64) is ValueError
    assert refusal_of(-(1 << 64) - 1) is ValueError
    assert refusal_of(Tag(1 << 64, 0)) is ValueError
    assert refusal_of(Tag(-1, 0)) is ValueError


def test_text_outside_unicode_is_not_written():
    surrogate = chr(0xD800)
    try:
        cbor.encode(surrogate)
    except ValueError:  # UnicodeEncodeError on CPython
        return
    raise AssertionError("lone surrogate encoded")


def test_depth_is_limited_on_both_sides():
    value = 0
    for _ in range(cbor.MAX_DEPTH):
        value = [value]
    assert cbor.decode(cbor.encode(value)) == value
    assert refusal_of([value]) is ValueError
    assert reason_of(b"\x81" * (cbor.MAX_DEPTH + 1) + b"\x00") == "nested too deep"
    assert reason_of(b"\x81" * 5000) == "nested too deep"
    assert reason_of(b"\xd1" * (cbor.MAX_DEPTH + 1) + b"\x00") == "nested too deep"


def test_sizes_are_limited_on_both_sides():
    longest = b"x" * cbor.MAX_STRING
    assert cbor.decode(cbor.encode(longest)) == longest
    assert refusal_of(longest + b"x") is ValueError
    assert reason_of(b"\x59\x10\x01" + longest + b"x") == "string too long"
    most = [0] * cbor.MAX_ITEMS
    assert cbor.decode(cbor.encode(most)) == most
    assert refusal_of(most + [0]) is ValueError
    assert reason_of(b"\x99\x01\x01" + bytes(257)) == "too many entries"
    assert reason_of(b"\x9b" + b"\xff" * 8) == "too many entries"


def test_sequence_is_walked_item_by_item():
    items = [{0: 1}, b"abc", [Tag(17, [])], -7]
    data = b"".join([cbor.encode(item) for item in items])
    found, position = [], 0
    while position < len(data):
        value, position = cbor.decode_first(data, position)
        found.append(value)
    assert found == items and position == len(data)


def test_decode_first_outside_the_data_is_truncated():
    for start in (1, 5, -1):
        try:
            cbor.decode_first(b"\x00", start)
            raise AssertionError("accepted")
        except CborError as error:
            assert error.reason == "truncated"


def test_short_ways_for_integers_and_strings_write_the_same():
    for bits in range(64):
        for number in ((1 << bits) - 1, 1 << bits, -(1 << bits)):
            assert cbor.uint(number) == cbor.encode(number)
    for size in (0, 1, 23, 24, 255, 256, 4096):
        assert cbor.text("a" * size) == cbor.encode("a" * size)
        assert cbor.text("\u00e4" * (size // 2)) == cbor.encode("\u00e4" * (size // 2))
    for wrong in ("\ud800", "b" * 4097):
        try:
            cbor.text(wrong)
            raise AssertionError(wrong)
        except ValueError:
            pass
