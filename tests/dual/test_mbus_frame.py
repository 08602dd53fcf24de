"""Link frames of wired M-Bus from any bytes; runs on CPython and on MicroPython."""

from dicamm.proto.mbus_frame import ACKNOWLEDGE, DISCARD, LONG, SHORT, MbusReceiver

NKE = bytes.fromhex("10 40 01 41 16")
# the data telegram of EN 13757-3's annex: address 2, long header, three records
DATA = bytes.fromhex(
    "68 1f 1f 68 08 02 72 78563412 2440 01 07 55 00 0000"
    "03 13 153100 da02 3b 1301 8b60 04 371802 18 16"
)
EMPTY = bytes.fromhex("68 03 03 68 08 05 78 85 16")  # the shortest long frame


def told(event):
    if event.kind == DISCARD:
        return event.data, event.offset, event.length
    return event.kind, event.control, event.address, event.data, event.offset, event.length


def events(*chunks):
    receiver = MbusReceiver()
    found = []
    for chunk in chunks:
        receiver.feed(chunk)
        event = receiver.next_event()
        while event is not None:
            found.append(told(event))
            event = receiver.next_event()
    receiver.finish()
    event = receiver.next_event()
    while event is not None:
        found.append(told(event))
        event = receiver.next_event()
    return found, receiver.discarded


def test_every_kind_of_frame():
    found, discarded = events(b"\xe5" + NKE + EMPTY + DATA)
    assert found == [
        (ACKNOWLEDGE, None, None, b"", 0, 1),
        (SHORT, 0x40, 1, b"", 1, 5),
        (LONG, 0x08, 5, b"\x78", 6, 9),
        (LONG, 0x08, 2, DATA[6:-2], 15, len(DATA)),
    ]
    assert discarded == {}


def test_frames_in_any_chunking():
    stream = NKE + DATA + b"\xe5"
    whole = events(stream)
    for cut in range(len(stream)):
        assert events(stream[:cut], stream[cut:]) == whole
    assert events(*[stream[at : at + 1] for at in range(len(stream))]) == whole


def test_longest_frame_fits():
    body = b"\x08\x01\x78" + bytes(252)
    frame = b"\x68\xff\xff\x68" + body + bytes((sum(body) & 255, 0x16))
    (found,), discarded = events(frame + b"")
    assert found[3] == body[2:] and found[5] == 261 and discarded == {}


def test_each_broken_part_has_its_reason_and_one_event():
    for place, reason, length in (
        (1, "length", 4),
        (2, "length", 4),
        (len(DATA) - 1, "stop", len(DATA)),
        (len(DATA) - 2, "checksum", len(DATA)),
        (4, "checksum", len(DATA)),
        (20, "checksum", len(DATA)),
    ):
        bad = bytearray(DATA)
        bad[place] ^= 0x40
        found, discarded = events(bytes(bad))
        assert found[0] == (reason, 0, length)
        assert discarded[reason] == 1
        assert [entry[0] for entry in found if entry[0] == LONG] == []
    assert events(b"\x68\x02\x02\x68\x08\x01\x09\x16")[0] == [("length", 0, 8)]
    assert events(b"\x10\x40\x01\x42\x16")[0] == [("checksum", 0, 5)]
    assert events(b"\x10\x40\x01\x41\x17")[0] == [("stop", 0, 5)]


def test_a_frame_behind_a_broken_one_is_found():
    bad = bytearray(DATA)
    bad[10] ^= 1
    found, discarded = events(bytes(bad) + DATA)
    assert [entry[0] for entry in found] == ["checksum", LONG]
    assert discarded == {"checksum": 1}


def test_a_frame_that_lost_bytes_costs_only_itself():
    for lost in range(4, len(DATA)):
        found, _ = events(DATA[:lost] + DATA[lost + 1 :] + DATA)
        assert found[-1][:2] == (LONG, 0x08) and found[-1][3] == DATA[6:-2]


def test_what_hides_in_a_broken_frame_is_no_acknowledgement():
    inside = b"\x08\x01\x78" + b"\xe5" + NKE + b"\xe5"
    frame = b"\x68\x0a\x0a\x68" + inside + b"\x00\x16"
    assert events(frame)[0] == [("checksum", 0, len(frame))]


def test_noise_is_told_once_and_an_acknowledgement_behind_it_is_none():
    found, discarded = events(b"\x00\xff\x00" + DATA)
    assert found[0] == ("noise", 0, 3) and found[1][0] == LONG
    assert discarded == {"noise": 1}
    assert events(b"\x00\xe5")[0] == [("noise", 0, 2)]


def test_silence_ends_a_frame_and_what_follows_begins_anew():
    receiver = MbusReceiver()
    receiver.feed(DATA[:10])
    receiver.finish()
    receiver.feed(b"\xe5")
    first, second = receiver.next_event(), receiver.next_event()
    assert (first.data, first.length) == ("cut off", 10)
    assert (second.kind, second.offset) == (ACKNOWLEDGE, 10)
    assert receiver.next_event() is None


def test_memory_is_bounded_when_nobody_fetches():
    receiver = MbusReceiver()
    for _ in range(100):
        receiver.feed(b"\xe5")
    assert receiver.discarded == {"not fetched": 68}


def test_inside_a_frame_of_two_lengths_only_long_frames_are_believed():
    inside = b"\x10\x40\x01\x00\x00\xe5" + NKE
    for lengths in (b"\x0e\x0f", b"\x0f\x0e"):
        broken = b"\x68" + lengths + b"\x68\x08\x02\x78" + inside + b"\x00\x16"
        found, discarded = events(broken + DATA + NKE)
        assert found[0] == ("length", 0, 4) and discarded["length"] == 1
        assert [event[:4] for event in found[1:] if event[0] != "noise"] == [
            (LONG, 0x08, 2, DATA[6:-2]),
            (SHORT, 0x40, 1, b""),
        ]


def test_broken_short_frame_behind_noise_is_noise():
    found, discarded = events(b"\x00\x10\x40\x01\x00\x16" + DATA)
    assert found[0] == ("noise", 0, 6) and found[1][0] == LONG and discarded == {"noise": 1}
