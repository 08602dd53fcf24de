"""What is a switching command and what is none: each wrong part has its code."""

import json

from dicamm import codes
from dicamm.control.command import parse, uuid_from_text, uuid_text
from dicamm.control.limit import Limit
from dicamm.metering import record
from dicamm.metering.reading import Reading

UUID = bytes(range(16))
UUID_TEXT = "00010203-0405-0607-0809-0a0b0c0d0e0f"
T_MS = 1777882500000
LAST_MS = 253402300799999  # 9999-12-31T23:59:59.999Z


def code(action="begin", uuid=UUID, text="", event_ms=None):
    """The code of a refusal; 0 where it is a command."""
    command, number = parse(action, uuid, text, event_ms)
    assert (command is None) == (number != 0)
    return number


def text_of(text):
    command, number = parse("begin", UUID, text, None)
    assert number == 0, number
    return command.text


def test_a_command_holds_what_it_was_given():
    command, number = parse("begin", UUID, "wind surplus", T_MS)
    assert number == 0
    assert command.action == record.BEGIN
    assert (command.uuid, command.text, command.event_ms) == (UUID, "wind surplus", T_MS)
    command, _ = parse("end", UUID, "", 0)
    assert (command.action, command.event_ms) == (record.END, 0)


def test_text_and_time_may_be_absent():
    command, number = parse("end", UUID, None, None)
    assert number == 0 and command.text == "" and command.event_ms is None


def test_begin_end_and_change_are_the_only_actions():
    for action in ("", "Begin", "changed", "failsafe", None, 1, True, b"begin", [], {}, ["end"]):
        assert code(action=action) == codes.UNKNOWN_ACTION, action


def test_a_uuid_is_sixteen_bytes():
    for uuid in (b"", UUID[:15], UUID + b"\x00", None, UUID_TEXT, 5, [0] * 16, bytearray(UUID)):
        assert code(uuid=uuid) == codes.BAD_UUID, uuid


def test_a_text_is_at_most_64_bytes_not_characters():
    assert text_of("x" * 64) == "x" * 64
    assert text_of("ä" * 32) == "ä" * 32
    assert text_of("€" * 21) == "€" * 21
    for text in ("x" * 65, "ä" * 32 + "x", "€" * 22, "x" * 100000):
        assert code(text=text) == codes.BAD_TEXT, len(text)


def test_what_is_no_text_is_refused():
    for text in (5, 0, False, b"text", [], ["a"], {}):
        assert code(text=text) == codes.BAD_TEXT, text


def test_a_character_that_json_writes_as_two_halves_is_one_character():
    sent = '"\\ud83d\\udd0c on"'  # as ensure_ascii writes U+1F50C
    assert text_of(json.loads(sent)).encode() == b"\xf0\x9f\x94\x8c on"
    assert text_of("\U0001f50c" * 16).encode() == b"\xf0\x9f\x94\x8c" * 16
    assert code(text=json.loads('"' + "\\ud83d\\udd0c" * 17 + '"')) == codes.BAD_TEXT


def test_half_a_character_is_refused():
    for sent in ("\\ud83d", "\\udd0c", "\\udd0c\\ud83d", "\\ud83dx", "\\ud83d\\ud83d\\udd0c"):
        assert code(text=json.loads('"' + sent + '"')) == codes.BAD_TEXT, sent


def test_every_text_of_a_command_fits_in_a_record():
    reading = Reading([], None, 0, 0, 0, None)
    for sent in ("", "x" * 64, "ä€", "\\ud83d\\udd0c", "\\u0000\\u001f", "\\uffff"):
        text = text_of(json.loads('"' + sent + '"'))
        assert text.encode() in record.encode(1, 16, ("", ""), reading, bytes(8), text=text)


def test_a_time_is_utc_milliseconds_up_to_the_year_9999():
    for event_ms in (None, 0, T_MS, LAST_MS):
        assert code(event_ms=event_ms) == 0, event_ms
    for event_ms in (-1, LAST_MS + 1, 1 << 64, 1.5, "5", True, False, [], b""):
        assert code(event_ms=event_ms) == codes.BAD_TIME, event_ms


def test_the_first_wrong_part_is_named():
    assert code("x", b"", 5, -1) == codes.UNKNOWN_ACTION
    assert code("end", b"", 5, -1) == codes.BAD_UUID
    assert code("end", UUID, 5, -1) == codes.BAD_TEXT


def test_a_uuid_reads_in_either_case_and_writes_in_lower_case():
    assert uuid_from_text(UUID_TEXT) == UUID
    assert uuid_from_text("6F1B0E52-0000-4000-8000-00000000000a") == (
        b"\x6f\x1b\x0e\x52\x00\x00\x40\x00\x80\x00\x00\x00\x00\x00\x00\x0a"
    )
    assert uuid_text(UUID) == UUID_TEXT
    assert uuid_text(b"\xff" * 16) == "ffffffff-ffff-ffff-ffff-ffffffffffff"


def test_what_is_not_the_36_character_form_is_no_uuid():
    for text in (
        "",
        UUID_TEXT[:-1],
        UUID_TEXT + "0",
        UUID_TEXT.replace("-", ""),
        UUID_TEXT.replace("-", "0"),
        "{" + UUID_TEXT[1:],
        "0x010203" + UUID_TEXT[8:],
        "+0010203" + UUID_TEXT[8:],
        " 0010203" + UUID_TEXT[8:],
        "0001020-30405-0607-0809-0a0b0c0d0e0f",
        "٠" * 8 + UUID_TEXT[8:],  # digits to Python's int(), not to RFC 9562
        None,
        5,
        UUID,
        UUID_TEXT.encode(),
    ):
        assert uuid_from_text(text) is None, text


def test_a_limit_is_a_change_with_watts_and_seconds():
    command, number = parse("limit", UUID, "", None, 4200, 900)
    assert number == 0 and command.action == record.CHANGE
    assert (command.limit_w, command.duration_s) == (4200, 900)
    command, _ = parse("begin", UUID, "", None, None, None)
    assert command.duration_s == 0


def test_a_limit_out_of_range_is_none():
    wrong = ((-1, 900), (1000001, 900), (0, 0), (0, 604801), (None, 900), (0, None))
    for limit_w, duration_s in wrong + ((True, 900), (0.5, 900), ("0", 900)):
        found, number = parse("limit", UUID, "", None, limit_w, duration_s)
        assert found is None and number == codes.BAD_LIMIT


def test_a_limit_below_the_loads_power_opens_and_so_does_any_where_that_is_unknown():
    assert Limit(1999, 10, 2000, 0).opens and not Limit(2000, 10, 2000, 0).opens
    assert Limit(4200, 10, 0, 0).opens
    assert Limit(0, 900, 2000, 5000).until_ms == 905000
