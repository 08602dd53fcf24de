"""What holds of the SML readers for any bytes: same events however cut, and never an exception."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from receiver_kit import chunks_of
from sml_kit import DZG, ESCAPE, SERVER, events, streams, telegrams, values

from clsbench.meters.sml_encode import frame, telegram
from clsbench.meters.sml_second_reader import frames
from dicamm.proto.sml import FRAME, read_payload

START = ESCAPE + bytes((1, 1, 1, 1))


@settings(max_examples=60, deadline=None)
@given(streams, st.lists(st.integers(0, 10_000), max_size=8), st.sampled_from([64, 300, 4096]))
def test_any_chunking_gives_the_same_events(data, cuts, max_frame):
    assert events(chunks_of(data, cuts), max_frame) == events([data], max_frame)


@settings(max_examples=60, deadline=None)
@given(st.lists(values, max_size=20), st.sampled_from([SERVER, DZG]))
def test_what_the_meter_encodes_is_what_both_readers_read(sent, server):
    data = telegram(server, sent, 77)
    (kind, _, _, read), *more = events([data])[0]
    assert (kind, more, read["server_id"]) == (FRAME, [], server.hex())
    plain = [
        (raw.hex() if isinstance(raw, bytes) else raw, scaler, unit, status)
        for _, raw, scaler, unit, status in sent
    ]
    assert _fields(read["entries"]) == plain
    assert _fields(frames(data)[0]["entries"]) == [
        (raw, scaler or 0, *more) for raw, scaler, *more in plain
    ]


def _fields(entries):
    return [(e["raw_sent"], e["scaler"], e["unit"], e["status"]) for e in entries]


@settings(max_examples=100, deadline=None, derandomize=True)  # a CRC misses 1 in 65536
@given(telegrams, st.integers(0), st.integers(1, 255), st.booleans())
def test_a_changed_byte_never_yields_a_wrong_reading(data, place, change, inside):
    bad = bytearray(data)
    bad[place % len(bad)] ^= change
    found, _ = events([bytes(bad), data] if inside else [bytes(bad)])
    good = events([data])[0][0][3]
    for kind, _, _, read in found:
        if kind == FRAME:
            assert read["entries"] == good["entries"]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200).map(lambda data: data + b"\x00"))  # as every message ends
def test_any_payload_in_a_good_frame_gives_one_event_for_the_frame(payload):
    found, _ = events([frame(payload)])
    assert [kind for kind, *_ in found].count(FRAME) == 1
    frames(frame(payload))
    read_payload(payload)


@settings(max_examples=100, deadline=None, derandomize=True)  # a CRC misses 1 in 65536
@given(telegrams, st.integers(0), st.integers(1, 255))
def test_a_changed_byte_under_a_good_transport_checksum_is_harmless(data, place, change):
    payload = bytearray(data[8:-8].replace(ESCAPE * 2, ESCAPE))
    payload[place % len(payload)] ^= change
    found, _ = events([frame(bytes(payload))])
    frames(frame(bytes(payload)))
    good = events([data])[0][0][3]["entries"]
    assert found[-1][3]["entries"] in ([], good)


@settings(max_examples=100, deadline=None)
@given(streams)
@example(START + ESCAPE + bytes(5) + START)  # a byte between a broken frame and the next start
def test_every_byte_is_accounted_for(data):
    covered = 0
    quiet = False  # what follows such a frame belongs to it up to the next start, and is not told
    for _, offset, length, reason in events([data])[0]:
        if reason in ("message crc", "structure", "content", "object name"):
            continue
        # a start found in a broken frame begins before its end
        assert offset <= covered or (quiet and START not in data[covered:offset])
        covered = max(covered, offset + length)
        quiet = quiet or reason in ("escape", "too long")
    assert covered == len(data) or (quiet and START not in data[covered:])
