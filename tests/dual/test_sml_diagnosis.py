"""What the bytes of a meter's line show an installer, one fault each."""

from dicamm.proto.crc import crc16_x25
from dicamm.proto.sml_diagnosis import (
    BAD_CHECKSUMS,
    BAD_MESSAGES,
    LOST_BYTES,
    NO_BYTES,
    NO_START,
    ONE_BYTE_VALUE,
    PIN_MISSING,
    TEXT,
    TEXT_BROKEN,
    LineDiagnosis,
    is_coarse,
)
from dicamm.proto.sml_entry import SmlEntry

# fmt: off
TELEGRAM = bytes.fromhex(  # 12345678.9 Wh and -46 W, from test_sml.py
    "1b1b1b1b 01010101"
    "76 03 a1b1 6200 6200 72 6301 01 76 01 01 04 aabb01 0b 0a0158595a0005f5e0ff 01 01 63 1d40 00"
    "76 03 a1b2 6200 6200 72 6307 01 77 01 0b 0a0158595a0005f5e0ff 01 72 6201 65 00001000"
    "72 77 07 0100010800ff 64 000182 01 62 1e 52 ff 56 00075bcd15 01"
    "   77 07 0100100700ff 01 01 62 1b 52 00 53 ffd2 01"
    "01 01 63 581a 00"
    "76 03 a1b3 6200 6200 72 6302 01 71 01 63 4cf1 00"
    "000000 1b1b1b1b 1a 03 657c"
)
# fmt: on
READOUT = b"/EMH4x\r\n\r\n1-0:1.8.0*255(012345.6789*kWh)\r\n!\r\n"


def findings(*chunks):
    diagnosis = LineDiagnosis()
    for chunk in chunks:
        diagnosis.feed(chunk)
    diagnosis.finish()
    return diagnosis.findings()


def energy(raw, scaler, tariff=0):
    return SmlEntry(bytes((1, 0, 1, 8, tariff, 255)), unit=30, scaler=scaler, raw=raw)


def test_good_telegrams_in_any_pieces_are_no_finding():
    assert findings(TELEGRAM * 3) == []
    for size in (1, 7, 100):
        data = b"\x00" + TELEGRAM * 2 + TELEGRAM[:50]
        assert findings(*[data[at : at + size] for at in range(0, len(data), size)]) == []


def test_no_bytes():
    assert findings() == [(NO_BYTES, 0)]


def test_line_that_stands_at_one_level():
    assert findings(b"\x00" * 500) == [(ONE_BYTE_VALUE, 500)]
    assert findings(b"\xff" * 40) == [(ONE_BYTE_VALUE, 40)]


def test_bytes_without_a_start():
    noise = bytes([(at * 89 + 7) & 0xFF for at in range(300)])
    assert findings(noise) == [(NO_START, 300)]
    assert findings(TELEGRAM[8:]) == [(NO_START, len(TELEGRAM) - 8)]
    assert findings(noise[:20]) == []  # too few to say


def test_text_instead_of_sml():
    assert findings(READOUT * 2) == [(TEXT, 2 * len(READOUT))]
    assert findings(READOUT[10:40] * 3) == [(TEXT_BROKEN, 90)]
    seven = bytes([byte | (bin(byte).count("1") & 1) << 7 for byte in READOUT])
    assert findings(seven) == [(TEXT, len(READOUT))]


def test_changed_and_lost_bytes():
    changed = TELEGRAM[:60] + b"x" + TELEGRAM[61:]
    assert findings(changed + TELEGRAM) == [(BAD_CHECKSUMS, 1)]
    assert findings(changed) == [(BAD_CHECKSUMS, 1)]
    assert findings(TELEGRAM[:100] + TELEGRAM) == [(LOST_BYTES, 1)]


def test_message_with_a_checksum_of_its_own_that_is_wrong():
    bad = TELEGRAM.replace(b"\x63\x58\x1a", b"\x63\x58\x1b")[:-2]
    bad += crc16_x25(bad, 0, len(bad)).to_bytes(2, "little")
    assert findings(bad) == [(BAD_MESSAGES, 1)]


def test_whole_kilowatt_hours_without_power_show_a_missing_pin():
    assert is_coarse([energy(2324, 3)])
    assert is_coarse([energy(167860000, -1), energy(0, -1, 1)])
    assert is_coarse([energy(0, 3)])
    power = SmlEntry(b"\x01\x00\x10\x07\x00\xff", unit=27, raw=5)
    assert not is_coarse([energy(2324, 3), power])
    assert not is_coarse([energy(23240001, -1)])
    assert not is_coarse([energy(23240000, -1), energy(1, -1, 2)])
    assert not is_coarse([energy(0, -1)])  # a new meter
    assert not is_coarse([]) and not is_coarse([SmlEntry(b"\x01\x00\x60\x01\x00\xff", raw=b"x")])
    assert not is_coarse([energy(True, 0), energy(None, 0), energy(b"\x01", 3)])


def test_missing_pin_is_found_on_the_line():
    head = bytes.fromhex(
        "76 03 a1b2 6200 6200 72 6307 01 77 01 0b 0a0158595a0005f5e0ff 01 01"
        "71 77 07 0100010800ff 01 01 62 1e 52 03 63 0914 01 01 01"
    )
    payload = head + b"\x63" + crc16_x25(head, 0, len(head)).to_bytes(2, "little") + b"\x00"
    fill = -len(payload) % 4
    data = TELEGRAM[:8] + payload + bytes(fill) + b"\x1b\x1b\x1b\x1b\x1a" + bytes((fill,))
    data += crc16_x25(data, 0, len(data)).to_bytes(2, "little")
    assert findings(data, data) == [(PIN_MISSING, 2)]
