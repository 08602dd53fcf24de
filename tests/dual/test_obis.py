"""Runs on CPython (pytest) and on MicroPython (tools/run_dual.py): plain functions, asserts."""

from dicamm.proto import obis

KNOWN = (
    ("1-0:1.8.0*255", "0100010800ff"),  # active energy, import, total
    ("1-0:2.8.1*255", "0100020801ff"),
    ("1-0:16.7.0*255", "0100100700ff"),  # power
    ("0-0:96.1.0*255", "0000600100ff"),  # server id
    ("129-129:199.130.3*255", "8181c78203ff"),  # maker, SML
    ("1-0:1.8.0*96", "010001080060"),  # stored value
    ("0-0:0.0.0*0", "000000000000"),
    ("255-255:255.255.255*255", "ffffffffffff"),
)


def refused(call, argument):
    try:
        call(argument)
    except ValueError as error:
        return str(error)
    raise AssertionError("accepted " + repr(argument))


def test_text_of_known_codes():
    for text, code in KNOWN:
        assert obis.text(bytes.fromhex(code)) == text


def test_known_texts_are_parsed():
    for text, code in KNOWN:
        assert obis.parse(text).hex() == code


def test_without_storage_group_it_is_the_present_value():
    assert obis.parse("1-0:1.8.0") == obis.parse("1-0:1.8.0*255") == b"\x01\x00\x01\x08\x00\xff"


def test_every_number_of_every_group_comes_back():
    for group in range(6):
        for number in range(256):
            code = bytearray(b"\x01\x00\x01\x08\x00\xff")
            code[group] = number
            assert obis.parse(obis.text(code)) == bytes(code)


def test_any_bytes_like_is_text():
    code = bytes.fromhex(KNOWN[0][1])
    assert obis.text(bytearray(code)) == obis.text(memoryview(code)) == KNOWN[0][0]


def test_other_text_is_refused_by_name():
    for text in (
        "",
        "1.8.0",
        "1-0:1.8",
        "1-0:1.8.0.0",
        "1-0:1.8.0*",
        "1-0:1.8.0**255",
        "1-0:1.8.0*256",
        "1-0:1.8.0*1*2",
        "256-0:1.8.0",
        "1-0:1.8.-1",
        "1-0:+1.8.0",
        "1-0:1_0.8.0",
        "1-0: 1.8.0",
        " 1-0:1.8.0",
        "1-0:1.8.0\n",
        "1-0:1..0",
        "1-0:0001.8.0",
        "1-0:C.1.0",
        "1:0-1.8.0",
        "1-0-0:1.8.0",
        "1-0:1.8.\u0663",
        "1-0:1.8.\u00b2",
    ):
        assert refused(obis.parse, text) == "no OBIS code: " + text


def test_other_length_is_refused():
    for size in (0, 5, 7):
        assert refused(obis.text, bytes(size)) == "OBIS code of %d bytes" % size
