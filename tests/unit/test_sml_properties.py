"""What holds of the SML readers for any bytes: same events however cut, and never an exception."""

from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.meters import sml_document
from clsbench.meters.device_id import server_id
from clsbench.meters.sml_encode import frame, telegram
from clsbench.meters.sml_second_reader import frames
from dicamm.proto.sml import FRAME, SmlReceiver, read_payload

SERVER = server_id("1EMH0098765432")
DZG = server_id("1DZG0042000001")
ESCAPE = b"\x1b\x1b\x1b\x1b"

raws = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(min_size=1)
optional_byte = st.none() | st.integers(0, 127)
values = st.tuples(
    st.binary(min_size=6, max_size=6),
    raws | st.sampled_from([ESCAPE, ESCAPE * 3, b"\x1b" * 7]),
    optional_byte,
    optional_byte,
    st.none() | st.integers(0, 2**64 - 1),
)
telegrams = st.builds(
    telegram,
    st.sampled_from([SERVER, DZG]),
    st.lists(values, max_size=20),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**24),
)
# bytes that look like the beginnings and ends of things
fragments = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [ESCAPE, b"\x01" * 4, ESCAPE + b"\x01" * 4, ESCAPE + b"\x1a\x00", b"\x77\x07"]
    ),
    telegrams,
)
streams = st.lists(fragments, max_size=6).map(b"".join)


def events(chunks, max_frame=4096):
    receiver = SmlReceiver(max_frame)
    found = []
    for chunk in chunks:
        receiver.feed(chunk)
        while event := receiver.next_event():
            found.append(told(event))
    receiver.finish()
    while event := receiver.next_event():
        found.append(told(event))
    return found, receiver.discarded


def told(event):
    data = sml_document.frame_document(event.data) if event.kind == FRAME else event.data
    return event.kind, event.offset, event.length, data


def chunks_of(data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in zip(edges, edges[1:])]


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
        (raw.hex() if isinstance(raw, bytes) else raw, scaler or 0, unit, status)
        for _, raw, scaler, unit, status in sent
    ]
    for entries in (read["entries"], frames(data)[0]["entries"]):
        assert [(e["raw_sent"], e["scaler"], e["unit"], e["status"]) for e in entries] == plain


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
def test_every_byte_is_accounted_for(data):
    covered = 0
    for _, offset, length, reason in events([data])[0]:
        if reason in ("message crc", "structure", "content", "object name"):
            continue
        assert offset <= covered  # a start found in a broken frame begins before its end
        covered = max(covered, offset + length)
    overlong_or_quiet = {"escape", "too long"} & events([data])[1].keys()
    assert covered == len(data) or overlong_or_quiet
