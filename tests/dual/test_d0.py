"""D0 readouts: telegrams spelled after IEC 62056-21, each with what it must be read as."""

from dicamm.proto.d0 import DISCARD, MAX_READOUT, READOUT, D0Receiver, number_of, obis_of

PUSHED = (
    b"/EMH4\\@01LZQJL0014E\r\n\r\n"
    b"1-0:0.0.0*255(1EMH0098765432)\r\n"
    b"1-0:1.8.0*255(012345.6789*kWh)\r\n"
    b"1-0:16.7.0*255(-00046*W)\r\n"
    b"1-0:32.7.0*255(231.4*V)\r\n"
    b"1-0:96.5.5*255(82)\r\n"
    b"0-0:96.1.255*255(0011223344)\r\n"
    b"!\r\n"
)
BLOCK = b"F.F(00000000)\r\n1.8.0(0000123.45*kWh)\r\n1.8.0*01(0000100.00*kWh)\r\n!\r\n\x03"


def checked(block):
    check = 0
    for byte in block:
        check ^= byte
    return b"/ISK5MT171-0133\r\n\x02" + block + bytes((check,))


def seven_bits(data):
    return bytes(byte | (bin(byte).count("1") & 1) << 7 for byte in data)


def events(*chunks):
    receiver = D0Receiver()
    for chunk in chunks:
        receiver.feed(chunk)
    found = []
    while True:
        event = receiver.next_event()
        if event is None:
            return found, receiver.discarded
        found.append(event)


def only_readout(data):
    found, discarded = events(data)
    assert [event.kind for event in found] == [READOUT] and discarded == {}
    return found[0].data


def entries(readout):
    return [(e.name, e.raw, e.scaler, e.unit, e.text) for e in readout.entries]


def test_pushed_readout_is_read_line_by_line():
    readout = only_readout(PUSHED)
    assert (readout.manufacturer, readout.identification) == ("EMH", "\\@01LZQJL0014E")
    assert (readout.offset, readout.length, readout.checked) == (0, len(PUSHED), False)
    assert entries(readout) == [
        ("1-0:0.0.0*255", None, 0, None, "1EMH0098765432"),
        ("1-0:1.8.0*255", 123456789, -1, 30, "012345.6789"),
        ("1-0:16.7.0*255", -46, 0, 27, "-00046"),
        ("1-0:32.7.0*255", 2314, -1, 35, "231.4"),
        ("1-0:96.5.5*255", 82, 0, None, "82"),
        ("0-0:96.1.255*255", 11223344, 0, None, "0011223344"),
    ]
    assert readout.entries[1].obis == bytes((1, 0, 1, 8, 0, 255))


def test_answer_with_block_check_character():
    readout = only_readout(checked(BLOCK))
    assert readout.checked and readout.manufacturer == "ISK"
    assert entries(readout) == [
        ("F.F", 0, 0, None, "00000000"),
        ("1.8.0", 12345, 1, 30, "0000123.45"),
        ("1.8.0*01", 10000, 1, 30, "0000100.00"),
    ]
    assert readout.entries[2].obis == bytes((1, 0, 1, 8, 0, 1))


def test_every_changed_bit_of_a_checked_answer_is_found():
    good = checked(BLOCK)
    for place in range(good.index(b"\x02") + 1, len(good)):
        for bit in range(7):
            bad = bytearray(good)
            bad[place] ^= 1 << bit
            for event in events(bytes(bad))[0]:
                assert event.kind == DISCARD


def test_seven_bits_with_parity_are_checked_and_taken_off():
    assert entries(only_readout(seven_bits(PUSHED))) == entries(only_readout(PUSHED))
    assert only_readout(seven_bits(checked(BLOCK))).checked
    bad = bytearray(seven_bits(PUSHED))
    bad[60] ^= 1
    assert events(bytes(bad))[1] == {"parity": 1}


def test_every_cut_gives_the_same_events():
    data = b"\x00noise" + PUSHED + b"xx" + PUSHED[:50] + b"\r\n" + PUSHED + checked(BLOCK)
    whole = [(e.kind, e.offset, e.length) for e in events(data)[0]]
    assert [kind for kind, _, _ in whole] == [READOUT, DISCARD, READOUT, READOUT]
    for cut in range(len(data)):
        found, _ = events(data[:cut], data[cut:])
        assert [(e.kind, e.offset, e.length) for e in found] == whole


def test_readout_that_begins_anew_or_is_cut_off_is_told():
    found, discarded = events(PUSHED[:50] + b"\r\n" + PUSHED)
    assert discarded == {"restart": 1} and found[-1].kind == READOUT
    receiver = D0Receiver()
    receiver.feed(PUSHED[:60])
    receiver.finish()
    receiver.finish()
    assert receiver.discarded == {"cut off": 1}


def test_overlong_readout_costs_only_itself():
    found, discarded = events(b"/EMH4x\r\n" + b"y" * (2 * MAX_READOUT) + b"\r\n" + PUSHED)
    assert discarded["too long"] == 1 and found[-1].kind == READOUT


def test_lines_that_are_no_data_sets_are_refused():
    for line in (b"1.8.0 123", b"1.8.0(12", b"(12)", b"1.8.0)12(", b"1.8.0((12)"):
        found, discarded = events(b"/EMH4x\r\n\r\n" + line + b"\r\n!\r\n" + PUSHED)
        assert discarded == {"form": 1} and found[-1].kind == READOUT, line
    assert events(b"/E4\r\n!\r\n")[1] == {"form": 1}


def test_several_values_behind_one_name():
    readout = only_readout(b"/EMH4x\r\n\r\n1.6.1(03.42*kW)(0506071230)\r\n!\r\n")
    assert entries(readout) == [
        ("1.6.1", 342, 1, 27, "03.42"),
        ("1.6.1", 506071230, 0, None, "0506071230"),
    ]


def test_numbers_are_exact():
    for text, number in (
        ("0", (0, 0)),
        ("-0.05", (-5, -2)),
        ("+7.", (7, 0)),
        ("123456789012345678.9", (1234567890123456789, -1)),
        ("", (None, 0)),
        ("1e5", (None, 0)),
        ("-", (None, 0)),
        (".5", (None, 0)),
        ("1.2.3", (None, 0)),
    ):
        assert number_of(text) == number, text


def test_names_in_all_their_forms():
    for text, groups in (
        ("1-0:1.8.0*255", (1, 0, 1, 8, 0, 255)),
        ("1.8.0", (1, 0, 1, 8, 0, 255)),
        ("1.8.0&01", (1, 0, 1, 8, 0, 1)),
        ("16.7", (1, 0, 16, 7, 0, 255)),
        ("0:96.1.0", (1, 0, 96, 1, 0, 255)),
        ("C.1.0", (1, 0, 96, 1, 0, 255)),
        ("F.F", None),
        ("F.1", (1, 0, 97, 1, 0, 255)),
        ("1.8.0.0", None),
        ("1.256.0", None),
        ("x", None),
        ("", None),
        ("1-0-0:1.8.0", None),
    ):
        assert obis_of(text) == (None if groups is None else bytes(groups)), text
