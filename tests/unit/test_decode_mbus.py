"""`clsbench decode mbus` and `wmbus`: forms of input and output, and the words for numbers."""

import json

import pytest
from click.testing import CliRunner

from clsbench.cli.captures import hex_tokens
from clsbench.cli.decode import decode
from clsbench.errors import BadInput
from clsbench.meters.aes import Aes
from clsbench.meters.mbus_encode import (
    bcd,
    integer,
    long_frame,
    secondary_address,
    telegram,
    value_information,
)
from clsbench.meters.mbus_names import FIXED_UNITS, QUANTITIES, UNITS
from clsbench.meters.mbus_text import identification_text, manufacturer_text, number_text
from dicamm.proto import mbus_codes, mbus_profile, mbus_records, mbus_vif, mbus_vif_more
from dicamm.proto.wmbus_link import crc16

ADDRESS = secondary_address("12345678", "ELS", 51, 3)
RECORDS = (
    bcd(2850427, 4, b"\x14")
    + integer(41393, 4, b"\x22")
    + integer(-5, 2, b"\x5a", function="maximum", storage=3, tariff=2, device=1)
    + b"\x05\x5b\x2b\x4b\xac\x41"
    + b"\x04\x6d\x19\x0f\x8a\x17"
    + b"\x02\x7c\x03HR%\xd4\x11"
    + b"\x0f\x01\x02"
)
FRAME = long_frame(0x08, 5, telegram(ADDRESS, RECORDS, 42, 0x10))
KEY = bytes(range(16))
LINK = bytes.fromhex("44 9315 78563412 33 03")


def run(*arguments, data=b""):
    outcome = CliRunner().invoke(decode, [*arguments], input=data)
    if outcome.exception:
        raise outcome.exception
    return outcome.stdout


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_a_wired_frame_in_words(interpreter):
    document = json.loads(run("mbus", "-", "--json", "--on", interpreter, data=b"\x00" + FRAME))
    assert document["discarded"] == {"noise": 1}
    (frame,) = document["frames"]
    assert (frame["valid"], frame["error"], frame["offset"]) == (True, None, 1)
    assert frame["header"] == {
        "Id": "12345678",
        "Manufacturer": "ELS",
        "Version": "51",
        "Medium": "Gas",
        "AccessNumber": "42",
        "Status": "10",
        "Signature": "0000",
    }
    keys = ("function", "storage", "tariff", "device", "unit", "quantity", "value")
    assert [[record[key] for key in keys] for record in frame["records"]] == [
        ["Instantaneous value", "0", None, None, "m^3", "Volume", "28504.270000"],
        ["Instantaneous value", "0", None, None, "s", "On time", "149014800.000000"],
        ["Maximum value", "3", "2", "1", "°C", "Flow temperature", "-0.500000"],
        ["Instantaneous value", "0", None, None, "°C", "Flow temperature", "21.536703"],
        [
            "Instantaneous value",
            "0",
            None,
            None,
            "-",
            "Time point (date & time)",
            "2012-07-10T15:25:00Z",
        ],
        ["Instantaneous value", "0", None, None, "-", "%RH", "4564.000000"],
        ["Manufacturer specific", "0", None, None, "", "", "01 02"],
    ]
    third = frame["records"][2]
    assert (third["dib"], third["vib"], third["data"]) == ("d261", "5a", "fbff")
    hours = frame["records"][1]
    assert (hours["raw"], hours["scaler"], hours["unit_code"]) == (41393, 0, 5)


def test_refused_frames_tell_why_and_hold_no_record():
    bad = FRAME[:-2] + b"\x00\x16"
    busy = long_frame(0x08, 5, b"\x70\x08")
    cut = long_frame(0x08, 5, b"\x78\x04\x03\x00")
    asked = long_frame(0x53, 5, b"\x51\x01\x7a\x08")
    frames = json.loads(run("mbus", "-", "--json", data=busy + cut + asked + bad))["frames"]
    assert [frame["error"] for frame in frames] == [
        "application error",
        "data",
        "from master",
        "checksum",
    ]
    assert frames[0]["application_error"] == "Application busy"
    assert all(not frame["valid"] and frame["records"] == [] for frame in frames)


def test_fixed_structure_in_words():
    data = bytes.fromhex("73 21436587 0b 02 e9 7e 42000000 78560000")
    (frame,) = json.loads(run("mbus", "-", "--json", data=long_frame(8, 5, data)))["frames"]
    assert frame["header"]["Medium"] == "Water" and frame["header"]["Id"] == "87654321"
    first, second = frame["records"]
    assert (first["function"], first["unit"], first["value"]) == ("Stored value", "l", "42")
    assert (second["unit"], second["value"]) == ("reserved but historic", "5678")


def test_acknowledgement_and_short_frame_are_frames_without_records():
    frames = json.loads(run("mbus", "-", "--json", data=bytes.fromhex("e5 10407b bb16")))["frames"]
    assert [frame["kind"] for frame in frames] == ["acknowledge", "short"]
    assert all(frame["valid"] and frame["header"] is None for frame in frames)


def test_table_shows_meter_values_and_what_was_discarded():
    out = run("mbus", "-", data=FRAME + b"\x00" + long_frame(8, 5, b"\x70\x08"))
    for text in ("ELS 12345678", "28504.27", "m^3", "maximum", "3/2/1", "Application busy"):
        assert text in out
    assert "1 good; discarded: noise 1" in out


def test_special_values_are_marked():
    records = (
        integer(-32768, 2, b"\x13")
        + b"\x0a\x13\x12\xa5"
        + b"\x05\x2b\x00\x00\xc0\x7f"
        + b"\x04\x6d\x99\x0f\x8a\x17"
        + integer(0, 2, b"\x93\x15")
        + b"\x3f\x01"
    )
    data = long_frame(8, 5, telegram(ADDRESS, records))
    (frame,) = json.loads(run("mbus", "-", "--json", data=data))["frames"]
    assert [record["quirks"] for record in frame["records"]] == [
        ["no value"],
        ["digits above 9"],
        ["not finite"],
        ["time not valid"],
        ["no data available"],
        ["unknown DIF"],
    ]
    assert [record["value"] for record in frame["records"][1:4]] == [None, "nan", None]
    assert frame["records"][5]["value"] == "01"


def sealed():
    plain = b"\x2f\x2f" + bcd(2850427, 4, b"\x14")
    plain += b"\x2f" * (-len(plain) % 16)
    encrypted = Aes().encrypt_cbc(KEY, LINK[1:] + b"\x2a" * 8, plain)
    body = LINK + b"\x7a\x2a\x00\x10\x05" + encrypted
    return bytes([len(body)]) + body


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_a_wireless_telegram_with_its_key(interpreter):
    arguments = ("wmbus", "-", "--json", "--on", interpreter, "--key", KEY.hex())
    (frame,) = json.loads(run(*arguments, data=sealed().hex().encode()))["frames"]
    assert frame["valid"] and frame["header"]["Id"] == "12345678"
    assert (frame["header"]["mode"], frame["link"]["format"]) == (5, "none")
    assert frame["records"][0]["value"] == "28504.270000"


# the example of OMS volume 2 annex N, profile B: security mode 7 with a message counter
AUTHENTIC = (
    "434493157856341233038c2075900f002c25b30a000021924d4f2fb66e017a75002007109058475f4bc91df8"
    "78b80a1b0f98b629024aac727942bfc549233c0140829b93"
)


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_an_authentic_telegram_recorded_twice_is_shown_and_told(interpreter):
    arguments = ("wmbus", "-", "--json", "--on", interpreter, "--key", KEY.hex())
    first, again = json.loads(run(*arguments, data=f"{AUTHENTIC}\n" * 2))["frames"]
    assert (first["valid"], first["quirks"]) == (True, [])
    assert (again["valid"], again["quirks"]) == (True, ["counter_not_rising"])
    assert first["records"] and again["records"] == first["records"]
    assert again["header"] == first["header"] and again["header"]["authentic"]


def test_raw_bytes_that_begin_like_a_comment_are_no_hex_text():
    data = LINK + b"\x7a\x2a\x00\x00\x00" + bcd(2850427, 4, b"\x14") + b"\x2f" * 15
    raw = bytes([len(data)]) + data
    assert raw[:1] == b"#"
    (frame,) = json.loads(run("wmbus", "-", "--json", data=raw))["frames"]
    assert frame["valid"] and frame["records"][0]["value"] == "28504.270000"


def test_a_wireless_telegram_without_key_shows_its_header_alone():
    (frame,) = json.loads(run("wmbus", "-", "--json", data=sealed()))["frames"]
    assert (frame["valid"], frame["error"], frame["records"]) == (False, "key", [])
    assert frame["header"]["Manufacturer"] == "ELS" and frame["header"]["mode"] == 5
    assert "refused, key" in run("wmbus", "-", data=sealed())


def test_key_may_stand_in_the_environment(monkeypatch):
    monkeypatch.setenv("CLSBENCH_WMBUS_KEY", KEY.hex())
    assert json.loads(run("wmbus", "-", "--json", data=sealed()))["frames"][0]["valid"]


def test_telegrams_stand_on_lines_of_their_own_or_one_on_several():
    text = sealed().hex()
    lines = f"{text}\n\n{text}\n".encode()
    frames = json.loads(run("wmbus", "-", "--json", "--key", KEY.hex(), data=lines))["frames"]
    assert [frame["offset"] for frame in frames] == [0, len(sealed())]
    short = bytes.fromhex("011302fb1a")
    full = telegrams_of_a_format(short)
    for interpreter in ("cpython", "micropython"):
        arguments = ("wmbus", "-", "--json", "--on", interpreter)
        frames = json.loads(run(*arguments, data=full))["frames"]
        assert [frame["valid"] for frame in frames] == [False, True, True]
    broken = f"{text[:20]}\n{text[20:]}\n".encode()
    (frame,) = json.loads(run("wmbus", "-", "--json", "--key", KEY.hex(), data=broken))["frames"]
    assert frame["valid"]


def telegrams_of_a_format(form):
    """Lines of hex: a compact frame, the full one that tells its format, the compact one again."""
    full = form[:2] + b"\x07" + form[2:] + b"\x05\x00"
    codes = [crc16(form, 0, len(form)), crc16(full, 0, len(full))]
    compact = b"\x79" + b"".join(code.to_bytes(2, "little") for code in codes) + b"\x07\x05\x00"
    bodies = [LINK + compact, LINK + b"\x78" + full, LINK + compact]
    return "\n".join((bytes([len(body)]) + body).hex() for body in bodies).encode()


def test_bytes_that_are_no_telegram_are_told():
    document = json.loads(run("wmbus", "-", "--json", data=b"hello"))
    assert document["discarded"] == {"cut off": 1} and not document["frames"][0]["valid"]
    assert json.loads(run("wmbus", "-", "--json"))["frames"] == []


@pytest.mark.parametrize("key", ["00", "zz" * 16, "00" * 17])
def test_a_key_of_other_length_is_refused_and_not_repeated(key):
    with pytest.raises(BadInput, match="32 hex digits") as caught:
        run("wmbus", "-", "--key", key)
    assert key not in str(caught.value)


def test_hex_tokens_of_one_digit_are_bytes():
    assert hex_tokens(b"D 04 04") == b"\x0d\x04\x04" and hex_tokens(b"0d0404") == b"\x0d\x04\x04"
    with pytest.raises(ValueError):
        hex_tokens(b"0d040")


@pytest.mark.parametrize(
    ("raw", "scaler", "real", "text"),
    [
        (54321, -3, False, "54.321000"),
        (8, -6, False, "0.000008"),
        (5, -9, False, "0.000000005"),
        (-5, 3, False, "-5000.000000"),
        (215367031097412109375, -19, True, "21.536703"),
        (7070391178131103515625, -25, True, "0.000707"),
        (123456789123, -20, True, "0.00000000123456789"),
        (0, 0, True, "0.000000"),
    ],
)
def test_numbers_as_libmbus_prints_them_but_never_rounded_away(raw, scaler, real, text):
    assert number_text(raw, scaler, real=real) == text


def test_the_readers_own_constants_are_the_codes_for_others():
    compared = 0
    for module in (mbus_records, mbus_profile):
        for name in dir(mbus_codes):
            if name.isupper() and hasattr(module, "_" + name):
                assert getattr(module, "_" + name) == getattr(mbus_codes, name), name
                compared += 1
    assert compared >= 18


def test_every_code_of_the_tables_has_words():
    more = mbus_vif_more
    main = (mbus_vif.QUANTITY, mbus_vif.UNIT, mbus_vif.EXPONENT)
    for table, size in (
        (main, 128),
        (more.EXTENSION_FD, 128),
        (more.EXTENSION_FB, 128),
        (more.SECOND_FD, 4),
    ):
        quantities, units, exponents = table
        assert len(quantities) == len(units) == len(exponents) == size
        assert set(quantities) <= {*QUANTITIES, mbus_codes.TEXT}
        assert set(units) <= set(UNITS) and all(abs(byte - 64) < 16 for byte in exponents)
    assert len(FIXED_UNITS) == 64


def test_addresses_in_words():
    assert manufacturer_text(0x1593) == "ELS"
    assert identification_text(ADDRESS[:4]) == "12345678"


def test_encoder_refuses_what_does_not_fit():
    for wrong in (
        lambda: integer(128, 1, b"\x03"),
        lambda: integer(1, 5, b"\x03"),
        lambda: bcd(100, 1, b"\x03"),
        lambda: bcd(-10, 1, b"\x03"),
        lambda: value_information(30, 9),
        lambda: telegram(ADDRESS, bytes(241)),
        lambda: secondary_address("1", "ELS", 1, 1),
        lambda: integer(1, 1, b"\x03", storage=2**42),
    ):
        with pytest.raises(BadInput):
            wrong()


def test_a_capture_without_any_frame_is_one_broken_frame():
    document = json.loads(run("mbus", "-", "--json", data=b"\x69" + FRAME[1:60]))
    (frame,) = document["frames"]
    assert (frame["valid"], frame["error"], frame["length"]) == (False, "noise", 60)
    assert document["discarded"] == {"noise": 1}


def test_hex_text_may_break_inside_a_byte():
    text = FRAME.hex()
    lines = "\n".join(text[at : at + 31] for at in range(0, len(text), 31)).encode()
    (frame,) = json.loads(run("mbus", "-", "--json", data=lines))["frames"]
    assert frame["valid"]
