"""Machine-code loops of SML, run as Python with every access bounded, against the other way.

What they do on MicroPython itself, tests/dual/test_sml_forms.py compares.
"""

import importlib.util
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from receiver_kit import chunks_of
from sml_kit import SERVER, events, streams, telegrams

from clsbench.meters.sml_encode import frame, message, octets, telegram
from clsbench.paths import firmware_dir
from dicamm.proto import sml_state

ROOT = Path(__file__).resolve().parents[2]
CLOSE_BYTES = 20  # of the last message in a telegram of our own
LIST_CHOICE = b"\x72\x63\x07\x01"
IMPORT = b"\x01\x00\x01\x08\x00\xff"


def _load_shim():
    path = ROOT / "tools" / "fuzz" / "viper_on_cpython.py"
    spec = importlib.util.spec_from_file_location("viper_on_cpython", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


machine = _load_shim().sml_module()


def board_receiver(max_frame=4096):
    """As on a 32-bit board, where numbers of more than 4 bytes go another way."""
    receiver = machine.SmlReceiver(max_frame)
    receiver._state[sml_state.WORD] = 4
    return receiver


both_words = pytest.mark.parametrize(
    "make", [machine.SmlReceiver, board_receiver], ids=["64 bit", "32 bit"]
)


@both_words
@settings(max_examples=60, deadline=None)
@given(
    data=streams,
    cuts=st.lists(st.integers(0, 10_000), max_size=8),
    size=st.sampled_from([64, 300, 4096]),
)
def test_same_events_for_any_stream_in_any_chunking(make, data, cuts, size):
    chunks = chunks_of(data, cuts)
    assert events(chunks, size, make) == events(chunks, size)


@both_words
@settings(max_examples=120, deadline=None)
@given(
    data=telegrams,
    changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_same_events_for_strange_lists_under_good_checksums(make, data, changes):
    strange = bytearray(list_in(data))
    for place, value in changes:
        strange[place % len(strange)] = value
    sent = frame(message(octets(b"1"), 0x0701, bytes(strange)))
    assert events([data, sent, data], make=make) == events([data, sent, data])


def list_in(data):
    """The encoded value list of a telegram of our own."""
    payload = data[8:-8].replace(b"\x1b" * 8, b"\x1b" * 4)
    payload = payload[: len(payload) - data[-3]]
    return payload[payload.index(LIST_CHOICE) + 4 : -CLOSE_BYTES - 4]


@both_words
def test_objects_are_the_same_for_every_telegram_of_the_common_form(make):
    receiver = make()
    seen = []
    for number in range(3):
        receiver.feed(telegram(SERVER, [(IMPORT, 2**40 + number, -1, 30, 4)], number, number))
        event = receiver.next_event()
        (entry,) = event.data.entries
        assert (entry.raw, entry.obis, event.data.server_id) == (2**40 + number, IMPORT, SERVER)
        seen.append((event, event.data, entry, entry.obis))
    assert all(one is other for one, other in zip(seen[0] + seen[1], seen[1] + seen[2]))


def test_copy_of_a_frame_outlives_the_next_telegram():
    receiver = machine.SmlReceiver()
    receiver.feed(telegram(SERVER, [(IMPORT, 1, -1, 30, None)], 1))
    kept = receiver.next_event().data.copy()
    receiver.feed(telegram(SERVER, [(IMPORT, 2, -1, 30, None)], 2))
    receiver.next_event()
    assert kept.entries[0].raw == 1 and kept.opened().server_id == SERVER


def test_lists_that_grow_and_shrink_are_read_whole():
    receiver = machine.SmlReceiver()
    for count in (1, 20, 3, 0, 60, 2):
        values = [(IMPORT, number, None, None, None) for number in range(count)]
        values += [(IMPORT, bytes([number + 1]) * 30, None, None, None) for number in range(count)]
        receiver.feed(telegram(SERVER, values, 1))
        read = receiver.next_event().data
        assert [entry.raw for entry in read.entries] == [raw for _, raw, *_ in values]


def test_messages_are_read_while_bytes_arrive():
    data = telegram(SERVER, [(IMPORT, number, -1, 30, 4) for number in range(100)], 1)
    receiver = machine.SmlReceiver()
    receiver.feed(data[:-9])
    state = receiver._state
    assert state[sml_state.MESSAGES] == 3 and state[sml_state.POS] >= len(data) - 12
    receiver.feed(data[-9:])
    assert len(receiver.next_event().data.entries) == 100


def test_constants_of_the_modules_are_those_of_the_state():
    places = {f"_{name}": number for name, number in vars(sml_state).items() if name.isupper()}
    checked = 0
    for path in sorted((Path(firmware_dir()) / "dicamm" / "proto").glob("sml*.py")):
        found = re.findall(r"^(_[A-Z_]+) = const\((\w+)\)", path.read_text(), re.M)
        for name, number in found:
            assert places.get(name) == int(number, 0), f"{path.name}: {name}"
        checked += len(found)
    assert checked > 100
