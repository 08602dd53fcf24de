"""What holds for every byte sequence on the bench link."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicamm.proto import link_frame
from dicamm.proto.link_frame import DISCARD, FRAME, LOG, MAX_LINE, MAX_PAYLOAD, LinkReceiver

# bytes that mean something to the framing come often
interesting = st.sampled_from(b"\x00\x00\x00\x01\x03\x04\x0a\x0a\x1b\x43\x44\x5b\xff")
line_bytes = st.lists(st.one_of(interesting, st.integers(0, 255)), max_size=60).map(bytes)
payloads = st.one_of(line_bytes, st.binary(max_size=300))
frames = payloads.map(link_frame.encode)
console_lines = st.binary(max_size=80).map(
    lambda data: data.replace(b"\x00", b"").replace(b"\n", b"") + b"\n"
)
LONGER = b"longer than any of these" * 20
streams = st.lists(st.one_of(line_bytes, frames, console_lines), max_size=8).map(b"".join)


def received(*chunks):
    receiver = LinkReceiver()
    for chunk in chunks:
        receiver.feed(chunk)
    return drained(receiver), receiver.discarded


def drained(receiver):
    found = []
    while (event := receiver.next_event()) is not None:
        found.append((event.kind, event.data, event.raw))
    return found


def of_kind(kind, events):
    return [data for found, data, _ in events if found == kind]


@settings(max_examples=200)
@given(streams, st.lists(st.integers(0, 2000), max_size=6))
def test_chunking_changes_nothing(stream, cuts):
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[begin:end] for begin, end in zip(places, places[1:])]
    assert received(*chunks) == received(stream)


@settings(max_examples=100)
@given(streams)
def test_byte_by_byte_changes_nothing(stream):
    assert received(*[bytes([byte]) for byte in stream]) == received(stream)


@settings(max_examples=60)
@given(st.lists(st.tuples(line_bytes, st.integers(1, 400)), max_size=6), st.integers(1, 3000))
def test_chunking_changes_nothing_about_long_lines(parts, size):
    stream = b"".join(part * count for part, count in parts)
    chunks = [stream[begin : begin + size] for begin in range(0, len(stream), size)]
    assert received(*chunks) == received(stream)


@settings(max_examples=200)
@given(payloads)
@example(b"")
@example(bytes(MAX_PAYLOAD))
@example(b"\x03" * MAX_PAYLOAD)
@example(b"\x1b" * 254)
def test_frame_holds_no_control_c_nor_control_d_and_comes_back(payload):
    frame = link_frame.encode(payload)
    assert b"\x03" not in frame and b"\x04" not in frame
    assert frame[0] == frame[-1] == 0 and b"\x00" not in frame[1:-1]
    assert len(frame) <= MAX_LINE + 2
    assert received(frame) == ([(FRAME, payload, b"")], {})


@settings(max_examples=150)
@given(st.binary(max_size=1200))
def test_cobs_and_stuffing_come_back(data):
    coded = link_frame.encode_cobs(data)
    assert b"\x00" not in coded and len(coded) <= len(data) + 1 + len(data) // 254
    assert link_frame.decode_cobs(coded) == data
    assert link_frame.unstuff(link_frame.stuff(data)) == data


@settings(max_examples=200)
@given(line_bytes)
def test_unstuffing_accepts_only_what_stuffing_writes(data):
    plain = link_frame.unstuff(data)
    assert plain is None or link_frame.stuff(plain) == data


@settings(max_examples=150)
@given(
    st.lists(st.one_of(payloads.map(lambda p: (FRAME, p)), console_lines.map(lambda t: (LOG, t))))
)
def test_frames_and_console_lines_arrive_in_order(pieces):
    stream = b"".join(link_frame.encode(data) if kind == FRAME else data for kind, data in pieces)
    found, discarded = received(stream)
    assert [(kind, data) for kind, data, _ in found] == pieces
    assert discarded == {}


@settings(max_examples=200)
@given(st.lists(st.tuples(line_bytes, payloads), max_size=5))
def test_no_noise_before_a_frame_costs_the_frame(pieces):
    stream = b"".join(noise + link_frame.encode(payload) for noise, payload in pieces)
    found, _ = received(stream)
    assert of_kind(FRAME, found) == [payload for _, payload in pieces]


@settings(max_examples=200)
@given(payloads, st.data())
def test_damaged_frame_never_passes_for_another(payload, data):
    frame = bytearray(link_frame.encode(payload))
    position = data.draw(st.integers(0, len(frame) - 1))
    frame[position] ^= 1 << data.draw(st.integers(0, 7))
    found, _ = received(bytes(frame), link_frame.encode(LONGER))
    assert [p for p in of_kind(FRAME, found) if p != payload] == [LONGER]


@settings(max_examples=150)
@given(streams)
def test_every_discard_is_counted_and_no_event_is_empty(stream):
    receiver = LinkReceiver()
    receiver.feed(stream)
    receiver.flush()
    found = drained(receiver)
    reasons = of_kind(DISCARD, found)
    assert receiver.discarded == {reason: reasons.count(reason) for reason in set(reasons)}
    assert all(of_kind(LOG, found)) and all(raw for kind, _, raw in found if kind == DISCARD)
    assert all(len(raw) <= MAX_LINE for _, _, raw in found)


@settings(max_examples=150)
@given(streams)
def test_after_a_flush_the_next_line_comes_at_once(stream):
    receiver = LinkReceiver()
    receiver.feed(stream)
    receiver.flush()
    drained(receiver)
    receiver.feed(b"Traceback\n")
    assert drained(receiver) == [(LOG, b"Traceback\n", b"")]


@settings(max_examples=100)
@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_printable_text_between_zeros_is_never_lost(text):
    data = text.encode()
    found, discarded = received(b"\x00" + data + b"\x00")
    assert b"".join(of_kind(LOG, found)) == data and discarded == {}
