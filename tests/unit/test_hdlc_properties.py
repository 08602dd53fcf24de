"""What holds of HDLC frames and stations for any bytes, and on a line that loses frames."""

from hypothesis import given, settings
from hypothesis import strategies as st
from receiver_kit import chunks_of, events_of

from dicamm.proto.hdlc import FRAME, HdlcFrame, HdlcReceiver, encode
from dicamm.proto.hdlc_station import CONNECTED, DATA, HdlcPrimary, HdlcSecondary

GATEWAY, METER = (1, 1), (2, 1)

addresses = st.tuples(st.integers(0, 127), st.integers(0, 127))
information = st.binary(max_size=40) | st.binary(max_size=4).map(lambda d: d + b"\x7e\xa0\x09" * 4)
frames = st.builds(
    HdlcFrame, addresses, addresses, st.integers(0, 255), information, st.booleans()
)
pieces = st.one_of(
    st.binary(max_size=8), st.sampled_from([b"\x7e", b"\x7e\xa0"]), frames.map(encode)
)
streams = st.lists(pieces, max_size=5).map(b"".join)


def told(event):
    data = event.data
    if event.kind == FRAME:
        data = (data.destination, data.source, data.control, data.information, data.segmented)
    return event.kind, event.offset, event.length, data


def events(chunks, limit=2034):
    return events_of(HdlcReceiver(limit), chunks, told)


@settings(max_examples=100, deadline=None)
@given(frames)
def test_what_is_encoded_is_read(frame):
    (event,) = events([encode(frame)])[0]
    wanted = (frame.destination, frame.source, frame.control, frame.information, frame.segmented)
    assert event[0] == FRAME and event[3] == wanted


@settings(max_examples=60, deadline=None)
@given(streams, st.lists(st.integers(0, 10_000), max_size=8), st.sampled_from([16, 64, 2034]))
def test_any_chunking_gives_the_same_events(data, cuts, limit):
    assert events(chunks_of(data, cuts), limit) == events([data], limit)


@settings(max_examples=100, deadline=None, derandomize=True)  # a CRC misses 1 in 65536
@given(frames, st.integers(0), st.integers(1, 255))
def test_a_changed_byte_never_yields_another_frame(frame, place, change):
    good = encode(frame)
    bad = bytearray(good)
    bad[place % len(bad)] ^= change
    wanted = events([good])[0][0][3]
    for kind, _, _, found in events([bytes(bad)])[0]:
        assert kind != FRAME or found == wanted


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["ok", "question lost", "answer lost"]), max_size=30))
def test_every_message_arrives_once_and_in_order_whatever_is_lost(fates):
    primary, secondary = HdlcPrimary(GATEWAY, METER, tries=100), HdlcSecondary(METER, GATEWAY)
    secondary.receive(primary.connect())
    assert primary.receive(secondary.answer()) == CONNECTED
    asked, heard, answers = 0, [], []
    command = primary.send(b"q0")
    for fate in [*fates, "ok", "ok"]:
        if fate == "question lost":
            command = primary.timeout()
            continue
        if secondary.receive(command) == DATA:
            heard.append(secondary.information)
            if not secondary.waiting:
                secondary.give(b"a" + secondary.information)
        reply = secondary.answer()
        if fate == "answer lost":
            command = primary.timeout()
            continue
        if primary.receive(reply) == DATA:
            answers.append(primary.information)
        if primary.waiting:
            command = primary.poll()
        else:
            asked += 1
            command = primary.send(b"q%d" % asked)
    assert heard == [b"q%d" % number for number in range(len(heard))]
    assert answers == [b"a" + question for question in heard][: len(answers)]
    assert len(heard) >= asked and len(heard) - len(answers) <= 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(HdlcFrame, st.just(METER), st.just(GATEWAY), st.integers(0, 255), information)
    )
)
def test_a_secondary_survives_any_commands(commands):
    secondary = HdlcSecondary(METER, GATEWAY)
    for frame in commands:
        secondary.receive(frame)
        if not secondary.waiting:
            secondary.give(b"x")
        reply = secondary.answer()
        assert (reply is not None) == frame.final
        assert reply is None or (reply.destination == GATEWAY and reply.final)
