"""SML receiver against telegrams spelled by hand, one deviation each.

TELEGRAM is a whole telegram with its checksums written out. The variants are put together
from spelled elements with the bitwise checksum below, which shares nothing with the firmware.
"""

from dicamm.proto.sml import DISCARD, FRAME, MAX_EVENTS, SmlReceiver, read_payload

START = bytes.fromhex("1b1b1b1b 01010101")
SERVER = "0b 0a 01 58 59 5a 00 05 f5 e0 ff"  # 1XYZ0099999999
OPEN = "72 6301 01 76 01 01 04 aabb01 " + SERVER + " 01 01"
CLOSE = "72 6302 01 71 01"
NOW = "72 6201 65 00 00 10 00"  # seconds index 4096
IMPORT = "77 07 0100010800ff 64 000182 01 62 1e 52 ff 56 00 07 5b cd 15 01"  # 12345678.9 Wh
POWER = "77 07 0100100700ff 01 01 62 1b 52 00 53 ff d2 01"  # -46 W

# fmt: off
TELEGRAM = bytes.fromhex(
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


def crc_bits(data, crc, inverted):
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc ^ inverted


def x25(data):
    return crc_bits(data, 0xFFFF, 0xFFFF).to_bytes(2, "little")


def kermit(data):
    return crc_bits(data, 0, 0).to_bytes(2, "big")


def message(number, body, checksum=x25):
    head = bytes.fromhex("76 03 a1b" + str(number) + " 6200 6200 " + body)
    return head + b"\x63" + checksum(head) + b"\x00"


def listed(*entries, **changed):
    count = changed.get("count", "7" + str(len(entries)))
    time = changed.get("time", NOW)
    server = changed.get("server", SERVER)
    return "72 6307 01 77 01 " + server + " 01 " + time + count + " ".join(entries) + " 01 01"


def framed(payload, checksum=x25):
    fill = -len(payload) % 4
    data = START + payload + bytes(fill) + b"\x1b\x1b\x1b\x1b\x1a" + bytes((fill,))
    return data + checksum(data)


def telegram(*entries, **changed):
    return framed(message(1, OPEN) + message(2, listed(*entries, **changed)) + message(3, CLOSE))


def events(*chunks):
    receiver = SmlReceiver()
    for chunk in chunks:
        receiver.feed(chunk)
    return fetched(receiver), receiver.discarded


def fetched(receiver):
    found = []
    while True:
        event = receiver.next_event()
        if event is None:
            return found
        found.append(event)


def only_frame(data):
    found, discarded = events(data)
    assert [event.kind for event in found] == [FRAME], discarded
    assert discarded == {}
    return found[0].data


def only_entry(entry, **changed):
    frame = only_frame(telegram(entry, **changed))
    assert len(frame.entries) == 1
    return frame.entries[0]


def value_of(element):
    return only_entry("77 07 0100010800ff 01 01 01 01 " + element + " 01")


def summary(found):
    return [
        (event.kind, event.offset, event.length, event.data if event.kind == DISCARD else "")
        for event in found
    ]


def test_whole_telegram_is_read_field_by_field():
    frame = only_frame(TELEGRAM)
    assert (frame.offset, frame.length, frame.crc) == (0, len(TELEGRAM), "x25")
    assert frame.server_id == bytes.fromhex("0a0158595a0005f5e0ff")
    assert frame.sensor_time == (1, 4096)
    assert (frame.messages, frame.refused, frame.quirks) == (3, 0, ())
    energy, power = frame.entries
    assert energy.obis == bytes((1, 0, 1, 8, 0, 255))
    assert (energy.raw, energy.raw_sent, energy.scaler, energy.unit) == (123456789,) * 2 + (-1, 30)
    assert (energy.status, energy.val_time, energy.width, energy.quirks) == (386, None, 5, ())
    assert (power.raw, power.scaler, power.unit, power.status) == (-46, 0, 27, None)
    assert frame.entry(bytes((1, 0, 16, 7, 0, 255))) is power
    assert frame.entry(b"absent") is None


def test_the_spelled_telegram_is_what_the_helpers_build():
    assert telegram(IMPORT, POWER) == TELEGRAM


def test_every_cut_gives_the_same_events():
    data = b"\x00noise" + TELEGRAM + b"\x1b\x1b" + TELEGRAM[:90] + TELEGRAM
    whole = summary(events(data)[0])
    assert [item[0] for item in whole] == [DISCARD, FRAME, DISCARD, DISCARD, FRAME]
    for cut in range(len(data)):
        assert summary(events(data[:cut], data[cut:])[0]) == whole
    assert summary(events(*[data[at : at + 1] for at in range(len(data))])[0]) == whole


def test_offsets_count_the_whole_stream():
    found, _ = events(b"\x00" * 5000, TELEGRAM, TELEGRAM)
    noise, first, second = found
    assert (noise.data, noise.offset, noise.length) == ("noise", 0, 5000)
    assert (first.data.offset, second.data.offset) == (5000, 5000 + len(TELEGRAM))


def test_integers_of_every_width_keep_sign_and_size():
    for width in range(1, 9):
        ones = "ff" * width
        assert value_of("5" + str(width + 1) + ones).raw == -1
        assert value_of("6" + str(width + 1) + ones).raw == 256**width - 1
        high = "80" + "00" * (width - 1)
        assert value_of("5" + str(width + 1) + high).raw == -(1 << 8 * width - 1)
        assert value_of("6" + str(width + 1) + high).width == width


def test_values_of_other_kinds():
    assert value_of("04 454d48").raw == b"EMH"
    assert value_of("42 01").raw is True
    assert value_of("42 00").raw is False
    assert value_of("01").raw is None
    assert value_of("83 02" + "ab" * 48).raw == b"\xab" * 48  # length in two bytes: 50
    assert value_of("72 6201 72 6201 65 001e3f50").raw == (1, 1982288)  # a time


def test_list_as_value_is_passed_over():
    assert value_of("73 6201 72 6202 0461 62 63 71 01").raw is None
    entry = only_frame(telegram("77 07 0100010800ff 01 01 01 01 71 71 71 01 01", POWER)).entries
    assert entry[1].raw == -46


def test_missing_scaler_unit_status_and_time():
    entry = only_entry("77 07 0100600500ff 01 01 01 01 65 001c0104 01")
    assert (entry.scaler, entry.unit, entry.status, entry.val_time) == (None, None, None, None)


def test_times_with_and_without_choice():
    def time_of(element):
        return only_entry("77 07 0100010800ff 01 " + element + " 62 1e 52 ff 62 07 01")

    assert time_of("72 6201 65 00000fff").val_time == (1, 4095)
    assert time_of("72 6202 65 671b6322").val_time == (2, 0x671B6322)
    local = time_of("72 6203 73 65 671b6322 53 003c 53 ffc4")
    assert local.val_time == (3, (0x671B6322, 60, -60))
    bare = time_of("65 00000fff")
    assert bare.val_time == (0, 4095) and bare.quirks == ("val_time_without_choice",)
    assert bare.raw == 7


def test_sensor_time_absent_or_without_choice():
    assert only_frame(telegram(IMPORT, time="01")).sensor_time is None
    bare = only_frame(telegram(IMPORT, time="65 00000010"))
    assert bare.sensor_time == (0, 16) and bare.quirks == ("act_sensor_time_without_choice",)


def test_list_of_more_than_15_entries():
    frame = only_frame(telegram(*([IMPORT] * 20), count="f1 04"))
    assert [entry.raw for entry in frame.entries] == [123456789] * 20


def test_absent_list_and_absent_server_id():
    frame = only_frame(telegram(count="01", server="01"))
    assert frame.entries == [] and frame.server_id is None


def test_object_name_is_not_searched_for_in_other_fields():
    fake = "77 07 0100010800ff 01 01 62 1e 52 ff 62 2a 01"
    text = "77 07 0100000009ff 01 01 01 01 83 02" + "00" * (48 - 17) + fake + " 01"
    frame = only_frame(telegram(text, IMPORT))
    assert [entry.raw for entry in frame.entries][1:] == [123456789]


def test_entry_with_object_name_of_other_length_is_left_out():
    found, discarded = events(telegram("77 03 0100 01 01 01 01 62 01 01", POWER))
    assert discarded == {"object name": 1}
    assert [entry.raw for entry in found[-1].data.entries] == [-46]


def test_kermit_in_transport_and_messages():
    bodies = (OPEN, listed(IMPORT), CLOSE)
    payload = b"".join(message(place + 1, body, kermit) for place, body in enumerate(bodies))
    frame = only_frame(framed(payload, kermit))
    assert frame.crc == "kermit" and frame.messages == 3
    assert frame.quirks == ("transport_crc_kermit", "message_crc_kermit")


def test_message_checksum_of_one_byte():
    heads = (numbered(number) for number in range(65536))
    head = next(head for head in heads if x25(head)[0] == 0)  # sent as 00nn
    frame = only_frame(framed(head + b"\x62" + x25(head)[1:] + b"\x00"))
    assert frame.quirks == ("message_crc_one_byte",) and frame.entries[0].raw == 123456789


def numbered(number):
    return b"\x76\x03" + number.to_bytes(2, "big") + bytes.fromhex("6200 6200" + listed(IMPORT))


def test_message_with_bad_checksum_is_refused_and_the_others_are_read():
    bad = message(1, listed(IMPORT), lambda head: b"\x12\x34")
    found, discarded = events(framed(bad + message(2, listed(POWER))))
    assert discarded == {"message crc": 1}
    assert [event.kind for event in found] == [DISCARD, FRAME]
    frame = found[1].data
    assert (frame.messages, frame.refused) == (1, 1)
    assert [entry.raw for entry in frame.entries] == [-46]


def test_broken_structure_costs_the_message_not_the_receiver():
    for body, reason in (
        ("72 6307 01 77 01", "structure"),  # the list wants more than the message holds
        ("72 6307 01 7f 01", "structure"),
        ("72 6307 01 04 454d48", "content"),  # no list where one must be
        ("72 6307 01 74 01 01 01 01", "content"),  # ends before its entries
    ):
        found, discarded = events(framed(message(1, body)), TELEGRAM)
        assert discarded == {reason: 1}, (body, discarded)
        assert found[-1].data.entries[0].raw == 123456789


def test_literal_escapes_are_taken_out():
    text = "77 07 8181c78205ff 01 01 01 01 0a" + "1b" * 9 + " 01"
    payload = message(1, listed(text, POWER))
    sent = framed(payload.replace(b"\x1b" * 4, b"\x1b" * 8))
    frame = only_frame(sent)
    assert frame.quirks == ("literal_escape",) and frame.length == len(sent)
    assert frame.entries[0].raw == b"\x1b" * 9 and frame.entries[1].raw == -46


def test_start_inside_a_frame_begins_anew():
    found, discarded = events(TELEGRAM[:100], TELEGRAM)
    assert discarded == {"restart": 1}
    assert summary(found)[0] == (DISCARD, 0, 100, "restart")
    assert (found[1].kind, found[1].offset) == (FRAME, 100)


def test_lost_bytes_cost_one_telegram():
    lost = TELEGRAM[:60] + TELEGRAM[63:]
    found, discarded = events(lost, TELEGRAM)
    assert discarded == {"crc": 1} and [event.kind for event in found] == [DISCARD, FRAME]


def test_start_swallowed_by_a_broken_end_is_found():
    for missing in range(1, 8):
        found, _ = events(TELEGRAM[:-missing], TELEGRAM)
        assert found[-1].kind == FRAME and found[-1].data.entries[0].raw == 123456789, missing


def test_start_behind_a_cut_literal_escape_is_found():
    found, discarded = events(TELEGRAM[:100] + b"\x1b" * 4, TELEGRAM)
    assert found[-1].kind == FRAME and discarded == {"crc": 1}


def test_unknown_escape_and_bad_fill_count_are_discarded():
    found, discarded = events(TELEGRAM[:80] + b"\x1b\x1b\x1b\x1b\x02abc", TELEGRAM)
    assert discarded == {"escape": 1} and found[-1].kind == FRAME
    data = START + bytes(8) + b"\x1b\x1b\x1b\x1b\x1a\x04"
    assert events(data + x25(data))[1] == {"fill": 1}


def test_overlong_frame_costs_only_itself():
    receiver = SmlReceiver(max_frame=len(TELEGRAM))
    receiver.feed(START + b"x" * 5000)
    receiver.feed(TELEGRAM)
    assert receiver.discarded == {"too long": 1}
    assert [event.kind for event in fetched(receiver)] == [DISCARD, FRAME]


def test_end_of_input_is_told():
    receiver = SmlReceiver()
    receiver.feed(TELEGRAM[:50])
    receiver.finish()
    assert receiver.discarded == {"cut off": 1}
    receiver.feed(TELEGRAM)
    receiver.finish()
    assert receiver.discarded == {"cut off": 1}
    assert [event.kind for event in fetched(receiver)] == [DISCARD, FRAME]


def test_events_nobody_fetches_are_bounded_and_counted():
    receiver = SmlReceiver()
    receiver.feed(START * (MAX_EVENTS + 6))
    assert len(fetched(receiver)) == MAX_EVENTS
    assert receiver.discarded == {"restart": MAX_EVENTS + 5, "not fetched": 5}


def test_messages_without_transport():
    payload = message(1, OPEN) + message(2, listed(POWER)) + message(3, CLOSE)
    frame, reasons = read_payload(payload)
    assert reasons == [] and frame.crc is None and frame.entries[0].raw == -46
    assert read_payload(b"hello")[1] == ["structure"]


def dzg_power(serial, element):
    server = "0b 0a 01 44 5a 47 00 " + serial.to_bytes(4, "big").hex()
    return only_entry("77 07 0100100700ff 01 01 62 1b 52 fe " + element + " 01", server=server)


def test_dzg_short_signed_power_is_positive_for_the_two_series_only():
    for serial in (42000000, 48999999, 55000000, 58999999):
        entry = dzg_power(serial, "53 8b28")
        assert (entry.raw, entry.raw_sent) == (0x8B28, 0x8B28 - 65536)
        assert entry.quirks == ("dzg_signed_power_bug",)
        assert dzg_power(serial, "54 ffd2f5").raw == 0xFFD2F5
        assert dzg_power(serial, "55 ffffd2f5").raw == -0x2D0B  # sent wide: really negative
        assert dzg_power(serial, "53 0102").quirks == ()
    for serial in (41999999, 49000000, 54999999, 59000000):
        assert dzg_power(serial, "53 8b28").raw == 0x8B28 - 65536


def test_dzg_is_told_by_the_device_id_in_the_list():
    device = (
        "77 07 0100600100ff 01 01 01 01 0b 0a 01 44 5a 47 00 "
        + (42000001).to_bytes(4, "big").hex()
    )
    power = "77 07 0100100700ff 01 01 62 1b 52 fe 52 ff 01"
    assert only_frame(telegram(device + " 01", power)).entries[1].raw == 255
    other = device.replace("44 5a 47", "44 5a 48")
    assert only_frame(telegram(other + " 01", power)).entries[1].raw == -1
