"""Value lists with fields of odd forms; runs on CPython (pytest) and MicroPython (run_dual)."""

from dicamm.proto.crc import crc16_x25
from dicamm.proto.sml import FRAME, SmlReceiver

NAME = "07 0100010800ff "
NUMBER = " 62 1e 52 ff 55 000004d2 01"  # 123.4 Wh
PLAIN = "77 07 0100100700ff 01 01 62 1b 52 00 52 05 01"  # 5 W


def checked(data):
    return data + crc16_x25(data, 0, len(data)).to_bytes(2, "little")


def telegram(body):
    """One message with `body` (hex text) and its transport, checksums made."""
    sent = checked(bytes.fromhex("76 03 a1b1 6200 6200 " + body))
    payload = sent[:-2] + b"\x63" + sent[-2:] + b"\x00"
    fill = -len(payload) % 4
    start = bytes.fromhex("1b1b1b1b 01010101")
    return checked(start + payload + bytes(fill) + bytes.fromhex("1b1b1b1b 1a0%d" % fill))


def listed(*entries):
    count = " 7%d " % len(entries)
    return telegram("72 6307 01 77 01 05 0a0b0c0d 01 01" + count + " ".join(entries) + " 01 01")


def frames(*texts):
    """SmlFrame of each text (entries of one value list), received in one stream."""
    receiver = SmlReceiver()
    found = []
    for text in texts:
        receiver.feed(listed(*text))
        event = receiver.next_event()
        assert event.kind == FRAME
        found.append(event.data.copy())
    assert receiver.discarded == {}
    return found


def odd(text):
    """The entry of `text`; the same stands before and behind plain telegrams."""
    whole = frames((text, PLAIN), (PLAIN, PLAIN), (PLAIN, text), (PLAIN, PLAIN))
    entry = whole[0].entries[0]
    assert told(whole[2].entries[1]) == told(entry)
    for other in whole[0].entries[1:] + whole[1].entries + whole[3].entries:
        assert told(other) == (b"\x01\x00\x10\x07\x00\xff", None, None, 27, 0, 5, ())
    return entry


def told(entry):
    e = entry
    return (e.obis, e.status, e.val_time, e.unit, e.scaler, e.raw, e.quirks)


def test_time_of_unknown_form_costs_only_itself():
    for time in ("71 65 00000010", "05 00000010", "72 01 01", "72 6203 73 65 00000010 01 01"):
        entry = odd("77 " + NAME + "01 " + time + NUMBER)
        assert told(entry)[2:] == (None, 30, -1, 1234, ("val_time_of_odd_form",))


def test_local_time_without_its_choice_is_read():
    entry = odd("77 " + NAME + "01 73 65 00000010 53 003c 53 0000" + NUMBER)
    assert entry.val_time == (3, (16, 60, 0)) and entry.quirks == ("val_time_of_odd_form",)


def test_status_in_octets_is_a_number():
    entry = odd("77 " + NAME + "04 000102 01" + NUMBER)
    assert (entry.status, entry.raw, entry.quirks) == (0x102, 1234, ("status_of_odd_form",))


def test_scaler_sent_unsigned_is_read_signed():
    entry = odd("77 " + NAME + "01 01 62 1e 62 ff 55 000004d2 01")
    assert (entry.scaler, entry.raw, entry.quirks) == (-1, 1234, ("scaler_of_odd_form",))


def test_value_whose_scaler_cannot_be_read_is_not_told():
    for scaler in ("53 0100", "04 454d48"):
        entry = odd("77 " + NAME + "01 01 62 1e " + scaler + " 55 000004d2 01")
        assert (entry.scaler, entry.raw, entry.quirks) == (None, None, ("scaler_of_odd_form",))
        assert entry.raw_sent == 1234


def test_values_of_unknown_types_keep_their_bytes():
    for value, raw in (
        ("13 aabb", b"\xaa\xbb"),
        ("6a 010000000000000002", (1 << 64) + 2),
        ("51", None),
        ("43 0001", True),
    ):
        entry = odd("77 " + NAME + "01 01 01 01 " + value + " 01")
        assert (entry.raw, entry.quirks) == (raw, ("value_of_odd_form",))


def test_entries_of_other_lengths_are_read():
    length = ("entry_of_odd_length",)
    for text in (
        "76 " + NAME + "01 01 62 1e 52 ff 55 000004d2",
        "78 " + NAME + "01 01" + NUMBER + " 73 01 01 01",
        "75 " + NAME + NUMBER,
    ):
        assert told(odd(text))[1:] == (None, None, 30, -1, 1234, length)


def test_sensor_time_of_unknown_form_costs_only_itself():
    for time in ("71 62 01", "05 00000010"):
        body = "72 6307 01 77 01 05 0a0b0c0d 01 " + time + " 71 " + PLAIN + " 01 01"
        receiver = SmlReceiver()
        receiver.feed(telegram(body))
        frame = receiver.next_event().data
        assert frame.quirks == ("act_sensor_time_of_odd_form",) and frame.sensor_time is None
        assert frame.server_id == b"\x0a\x0b\x0c\x0d" and frame.entries[0].raw == 5


def test_list_with_more_or_fewer_fields_is_read():
    for count, end in ((6, " 01"), (8, " 01 01 01")):
        body = "72 6307 01 7%d 01 05 0a0b0c0d 01 01 71 " % count + PLAIN + end
        receiver = SmlReceiver()
        receiver.feed(telegram(body))
        frame = receiver.next_event().data
        assert frame.quirks == ("list_of_odd_length",) and frame.entries[0].raw == 5
        assert receiver.discarded == {}


def test_entry_that_is_no_list_is_refused_alone():
    receiver = SmlReceiver()
    receiver.feed(listed("04 454d48", PLAIN))
    receiver.next_event()
    assert receiver.discarded == {"object name": 1}
    assert receiver.next_event().data.entries[0].raw == 5
