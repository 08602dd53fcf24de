"""Wireless M-Bus telegrams through all layers; runs on CPython and on MicroPython."""

from dicamm.proto import wmbus
from dicamm.proto.aes_cmac import cmac, same
from dicamm.proto.mbus import MbusTelegram
from dicamm.proto.wmbus import WmbusTelegram
from dicamm.proto.wmbus_compact import MAX_FORMATS, CompactFormats
from dicamm.proto.wmbus_link import (
    FORMAT_A,
    FORMAT_B,
    STRIPPED,
    crc16,
    frame_a,
    frame_b,
    read_link,
)

try:
    from dicamm.drivers.aes import Aes
except ImportError:
    from clsbench.meters.aes import Aes

KEY = bytes(range(16))
# OMS specification volume 2, annex N: gas meter, security profile A (mode 5), format A
PROFILE_A = bytes.fromhex(
    "2e 44 9315 78563412 33 03 3363"
    "7a 2a 00 2025 5923c95aaa26d1b2e7493b c2ad"
    "013ec4a6f6d3529b520edff0ea6defc9 55b2"
    "9d6d69ebf3 ec8a"
)
KEY_A = bytes.fromhex("0102030405060708090a0b0c0d0e0f11")
# OMS specification volume 2, annex N: gas meter, security profile B (mode 7 with AFL)
PROFILE_B = bytes.fromhex(
    "43 44 9315 78563412 33 03"
    "8c 20 75"
    "90 0f 002c 25 b30a0000 21924d4f2fb66e01"
    "7a 75 00 2007 10"
    "9058475f4bc91df878b80a1b0f98b629024aac727942bfc549233c0140829b93"
)
COUNTER = 0x0AB3
HEAD = "44 9315 78563412 33 03"  # C, M, A of the same meter
RECORDS = "0c14 27048502"


def telegram(text):
    """A telegram without checksums: length field and what `text` spells."""
    body = bytes.fromhex(text)
    return bytes((len(body),)) + body


def opened(data, key=None, last=None, accept_clear=False):
    link, reason = read_link(data)
    assert reason is None
    return WmbusTelegram(link, Aes(), key, last, accept_clear)


def values(found):
    records = found.records()
    assert records is not None, found.error
    out = []
    while records.next():
        out.append(records.raw())
    assert records.error is None
    return out


def test_cmac_of_rfc_4493():
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    text = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    for size, code in (
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ):
        assert cmac(Aes(), key, text[:size]) == bytes.fromhex(code)


def test_codes_are_compared_whole():
    assert same(b"abc", b"abc") and not same(b"abc", b"abd") and not same(b"abc", b"ab")


def test_crc_of_the_link_layer():
    assert crc16(b"123456789", 0, 9) == 0xC2B7


def test_formats_are_told_apart_by_their_checksums():
    for size in (1, 2, 15, 16, 17, 100, 105, 106, 107, 108, 115, 116, 117, 118, 200, 240):
        plain = telegram(HEAD + "78" + "5a" * (size - 1))
        for data, form in ((frame_a(plain), FORMAT_A), (frame_b(plain), FORMAT_B)):
            link, reason = read_link(data + b"\x33\x44")
            assert reason is None and link.form == form and link.length == len(data)
            assert link.payload == plain[10:]
        link, reason = read_link(plain)
        assert (link.form, link.payload, link.length) == (STRIPPED, plain[10:], len(plain))


def test_published_telegram_of_profile_a_in_format_a():
    link, reason = read_link(PROFILE_A)
    assert reason is None and (link.form, link.length) == (FORMAT_A, len(PROFILE_A))
    plain = bytes((PROFILE_A[0],)) + PROFILE_A[1:10] + link.payload
    assert frame_a(plain) == PROFILE_A
    found = opened(PROFILE_A, KEY_A)
    assert found.mode == 5 and values(found) == [2850427, None, 0]


def test_a_lost_bit_of_format_a_is_seen_in_every_block():
    plain = telegram(HEAD + "78" + "00" * 60)
    good = frame_a(plain)
    for place in range(10, len(good)):
        bad = bytearray(good)
        bad[place] ^= 1
        assert read_link(bytes(bad), FORMAT_A) == (None, "crc")


def test_a_lost_bit_of_format_b_is_seen_in_every_block():
    good = frame_b(telegram(HEAD + "78" + "00" * 160))
    for place in range(1, len(good)):
        bad = bytearray(good)
        bad[place] ^= 1
        assert read_link(bytes(bad), FORMAT_B) == (None, "crc")


def test_short_and_cut_telegrams_have_reasons():
    assert read_link(b"") == (None, "length") and read_link(b"\x09" + bytes(20)) == (
        None,
        "length",
    )
    plain = telegram(HEAD + "78 01 03 05")
    for data in (plain, frame_a(plain), frame_b(plain)):
        for form in (None, STRIPPED if data is plain else None):
            assert read_link(data[:-1], form)[1] in ("cut off", "crc")


def test_link_layer_names_the_meter():
    link, _ = read_link(telegram(HEAD + "78"))
    assert (link.control, link.manufacturer, link.version, link.medium) == (0x44, 0x1593, 0x33, 3)
    assert link.identification == bytes.fromhex("78563412")


def test_telegram_without_encryption():
    for layers in ("7a 2a 00 0000", "78", "72 78563412 9315 33 03 2a 00 0000", "8c 20 75 78"):
        found = opened(telegram(HEAD + layers + RECORDS))
        assert values(found) == [28504270 // 10] and found.mode == 0 and found.quirks == []
        assert found.address == bytes.fromhex("9315 78563412 33 03")


def test_long_header_names_the_meter_behind_a_radio_converter():
    found = opened(telegram(HEAD + "72 21436587 2440 01 07 2a 00 0000" + RECORDS))
    assert found.address == bytes.fromhex("2440 21436587 01 07")


def test_extended_link_layer_with_a_second_address():
    found = opened(telegram(HEAD + "8e 20 75 2440 21436587 01 07 78" + RECORDS))
    assert found.address == bytes.fromhex("2440 21436587 01 07") and len(values(found)) == 1


def encrypted_5(records, blocks=None, head="7a 2a 00"):
    """A mode 5 telegram; CBC is done by hand over the block cipher."""
    plain = b"\x2f\x2f" + bytes.fromhex(records)
    plain += b"\x2f" * (-len(plain) % 16)
    iv = bytes.fromhex("9315 78563412 33 03") + b"\x2a" * 8
    out = b""
    for at in range(0, len(plain), 16):
        block = bytes([one ^ two for one, two in zip(plain[at : at + 16], iv)])
        iv = Aes().encrypt_block(KEY, block)
        out += iv
    config = 0x0500 | (len(out) // 16 if blocks is None else blocks) << 4
    return telegram(HEAD + head + "%02x%02x" % (config & 255, config >> 8) + out.hex())


def test_mode_5_needs_its_key():
    data = encrypted_5(RECORDS + "0413 31d40000 02fd17 0000")
    assert values(opened(data, KEY)) == [2850427, 54321, 0]
    found = opened(data)
    assert (found.error, found.mode, found.records()) == (wmbus.NO_KEY, 5, None)
    assert opened(data, bytes(16)).error == wmbus.WRONG_KEY


def test_mode_5_with_clear_records_behind():
    data = encrypted_5(RECORDS)
    data = bytes((data[0] + 7,)) + data[1:] + bytes.fromhex("03fd0c 080000 2f")
    assert values(opened(data, KEY)) == [2850427, 8]


def test_fillers_behind_data_of_the_maker_are_not_its():
    data = encrypted_5("0f 010203")
    records = opened(data, KEY).records()
    assert records.next() and records.octets() == b"\x01\x02\x03" and not records.next()


def test_encrypted_blocks_must_be_there():
    assert opened(encrypted_5(RECORDS, blocks=4), KEY).error == wmbus.LAYER


def test_published_telegram_of_profile_b():
    found = opened(PROFILE_B, KEY)
    assert (found.error, found.mode, found.counter) == (None, 7, COUNTER)
    assert found.authentic and values(found) == [2850427, None, 0]


def test_profile_b_in_either_format():
    for build in (frame_a, frame_b):
        assert values(opened(build(PROFILE_B), KEY)) == [2850427, None, 0]


def test_counter_must_rise():
    assert opened(PROFILE_B, KEY, COUNTER - 1).error is None
    for last in (COUNTER, COUNTER + 1):
        found = opened(PROFILE_B, KEY, last)
        assert found.error == wmbus.OLD_COUNTER and found.records() is None


def test_every_bit_behind_the_link_layer_is_authenticated():
    for place in range(13, len(PROFILE_B)):
        bad = bytearray(PROFILE_B)
        bad[place] ^= 0x04
        found = opened(bytes(bad), KEY)
        assert found.error is not None and found.records() is None, place


def test_wrong_key_is_a_wrong_code():
    assert opened(PROFILE_B, bytes(16)).error == wmbus.WRONG_CODE
    assert opened(PROFILE_B).error == wmbus.NO_KEY


def test_a_counter_without_code_is_not_enough():
    without = telegram(HEAD + "90 07 0028 25 b30a0000 7a 75 00 2007 10" + PROFILE_B[-32:].hex())
    assert opened(without, KEY).error == wmbus.LAYER


def test_clear_data_under_an_encrypted_header_is_a_choice_of_the_caller():
    data = telegram(HEAD + "7a 2a 00 1005 2f2f" + RECORDS + "2f" * 8)
    assert opened(data, KEY).error == wmbus.CLEAR
    found = opened(data, KEY, None, True)
    assert values(found) == [2850427] and found.quirks == ["already_decrypted"]
    assert values(opened(data)) == [2850427]


def test_with_a_key_unencrypted_telegrams_are_refused():
    data = telegram(HEAD + "7a 2a 00 0000" + RECORDS)
    assert opened(data, KEY).error == wmbus.CLEAR
    assert values(opened(data, KEY, None, True)) == [2850427]


def test_modes_that_are_not_known_are_named():
    for mode in (1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 31):
        found = opened(telegram(HEAD + "7a 2a 00 10%02x" % mode + "00" * 16), KEY)
        assert (found.error, found.mode) == (wmbus.MODE, mode)


def test_fragments_and_broken_layers():
    for text, reason in (
        ("90 05 002c 25 b30a", wmbus.LAYER),
        ("90 02 0140 78" + RECORDS, wmbus.FRAGMENT),
        ("90 02 0200 78" + RECORDS, wmbus.FRAGMENT),
        ("90 02", wmbus.LAYER),
        ("90 20 0000 78", wmbus.LAYER),
        ("90 02 0020 78" + RECORDS, wmbus.LAYER),
        ("8c 20", wmbus.LAYER),
        ("8d 20 75 00000000 00", wmbus.LAYER),
        ("8f 20", wmbus.LAYER),
        ("7a 2a 00 10", "header"),
        ("55", "ci"),
        ("90 02 0000 78", None),
    ):
        found = opened(telegram(HEAD + text))
        assert found.error == reason, text


def session(payload, number="94df7920", key=None):
    """An extended link layer with session number; encrypted (CTR) where a key is given."""
    crc = crc16(payload, 0, len(payload))
    data = bytes((crc & 255, crc >> 8)) + payload
    if key is not None:
        head = bytes.fromhex("9315 78563412 33 03" + "20" + number + "0000")
        out = b""
        for at in range(0, len(data), 16):
            pad = Aes().encrypt_block(key, head + bytes((at // 16,)))
            out += bytes([one ^ two for one, two in zip(pad, data[at : at + 16])])
        data = out
    return telegram(HEAD + "8d 20 75" + number + data.hex())


def test_link_layer_encryption():
    payload = bytes.fromhex("78" + RECORDS + "0413 31d40000")
    data = session(payload, key=KEY)
    assert values(opened(data, KEY)) == [2850427, 54321]
    assert opened(data).error == wmbus.NO_KEY
    assert opened(data, bytes(16)).error == wmbus.WRONG_KEY
    clear = session(payload)
    assert opened(clear, KEY).error == wmbus.CLEAR
    assert opened(clear).quirks == ["already_decrypted"]
    plain = session(payload, "94df7900")
    assert values(opened(plain)) == [2850427, 54321] and opened(plain).quirks == []


def test_checksum_behind_the_session_number():
    data = bytearray(session(bytes.fromhex("78" + RECORDS), "94df7900"))
    data[-1] ^= 1
    assert opened(bytes(data)).error == wmbus.CHECKSUM


FORM = bytes.fromhex("02ff20 0413 4413 615b 6167")


def test_format_signature_is_the_published_one():
    assert crc16(FORM, 0, len(FORM)) == 0xA8ED


def compact(full, form, data, head="79"):
    crc = crc16(full, 0, len(full))
    signature = crc16(form, 0, len(form))
    return (
        bytes.fromhex(head) + bytes((signature & 255, signature >> 8, crc & 255, crc >> 8)) + data
    )


def test_compact_frame_of_a_known_format():
    full = bytes.fromhex("02ff20 7100 0413 08190000 4413 08190000 615b 7f 6167 13")
    data = bytes.fromhex("7100 08190000 08190000 7f 13")
    found = opened(telegram(HEAD + compact(full, FORM, data).hex()))
    assert values(found) == [0x71, 6408, 6408, 127, 19]
    assert found.quirks == ["compact_frame"]


def test_compact_frame_with_a_long_header():
    full = bytes.fromhex("02ff20 7100 0413 08190000 4413 08190000 615b 7f 6167 13")
    data = bytes.fromhex("7100 08190000 08190000 7f 13")
    head = "73 01000020 9315 33 07 2a 00 0000"
    found = opened(telegram(HEAD + compact(full, FORM, data, head).hex()))
    assert values(found) == [0x71, 6408, 6408, 127, 19]
    assert found.address == bytes.fromhex("9315 01000020 33 07")


def test_compact_frame_of_a_format_that_a_full_frame_told():
    full = bytes.fromhex("0413 08190000 0d78 03636261 02fb1a ae01")
    form = bytes.fromhex("0413 0d78 02fb1a")
    short = compact(full, form, bytes.fromhex("08190000 03636261 ae01"), "7b 2a 00 0000")
    formats = CompactFormats()
    assert formats.expand(short) is None
    assert opened(telegram(HEAD + short.hex())).error == "format"
    formats.learn(MbusTelegram(b"\x78" + full))
    link, _ = read_link(telegram(HEAD + short.hex()))
    assert len(values(WmbusTelegram(link, formats=formats))) == 3
    assert formats.expand(short) == bytes.fromhex("7a 2a 00 0000") + full
    spoilt = bytearray(short)
    spoilt[-1] ^= 1
    assert formats.expand(bytes(spoilt)) is None and formats.expand(short[:-1]) is None
    assert formats.expand(b"\x79\x00") is None


def test_formats_learned_do_not_grow_for_ever_nor_drive_out_the_known():
    formats = CompactFormats()
    for code in range(MAX_FORMATS + 3):
        formats.learn(MbusTelegram(b"\x78" + bytes((1, code, 0))))
    data = bytes.fromhex("7100 08190000 08190000 7f 13")
    full = bytes.fromhex("02ff20 7100 0413 08190000 4413 08190000 615b 7f 6167 13")
    assert formats.expand(compact(full, FORM, data)) is not None
    for code in (0, MAX_FORMATS):
        short = compact(bytes((1, code, 7)), bytes((1, code)), b"\x07")
        assert (formats.expand(short) is None) == (code == 0)
