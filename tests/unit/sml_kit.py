"""Telegrams and streams of bytes for property tests of SML, and what a receiver makes of them."""

from hypothesis import strategies as st
from receiver_kit import events_of

from clsbench.meters import sml_document
from clsbench.meters.device_id import server_id
from clsbench.meters.sml_encode import telegram
from dicamm.proto.sml import FRAME, SmlReceiver

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


def events(chunks, max_frame=4096, make=SmlReceiver):
    """(events as plain data, discarded) of a receiver that `make` makes, fed with `chunks`."""
    return events_of(make(max_frame), chunks, told)


def told(event):
    data = sml_document.frame_document(event.data) if event.kind == FRAME else event.data
    return event.kind, event.offset, event.length, data
