"""The ways an SML receiver can read a telegram come to the same events: short, long, in bytecode.

On MicroPython the short way is machine code, on CPython plain Python. Telegrams are spelled,
then changed at places that a generator of numbers picks, with checksums made anew, so that what
is inside gets looked at.
"""

from dicamm.proto import sml, sml_bytecode, sml_loops, sml_message, sml_transport
from dicamm.proto.crc import crc16_kermit, crc16_x25
from dicamm.proto.sml import FRAME, SmlReceiver

OPEN = bytes.fromhex("72 630101 76 01 02ab 04aabb01 0b0a0158595a0005f5e0ff 01 01")
CLOSE = bytes.fromhex("72 630201 71 01")
HEAD = bytes.fromhex("77 01 0b0a0158595a0005f5e0ff 07 0100620affff 72 6201 65 00001000")
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "77 07 0100010800ff 65 000182ff 01 621e 52ff 56 00075bcd15 01",
        "77 07 0100100700ff 01 01 621b 5200 53 ffd2 01",
        "77 07 8181c78203ff 01 01 01 01 04 454d48 01",
        "77 07 0100020800ff 62 80 72 6201 65 00000fff 621e 5203 59 8000000000000001 01",
        "77 07 0100600100ff 01 65 00000fff 01 01 0b 0a01445a47000280de80 01",
        "77 07 0100200700ff 01 01 6223 52ff 63 08f1 01",
        "77 07 8181c78205ff 01 01 01 01 8302 " + "a5" * 48 + " 01",
        "77 07 0100600501ff 01 01 01 01 42 01 01",
        "77 07 0100010801ff 01 01 621e 01 69 ffffffffffffffff 01",
        "77 07 0100010802ff 69 8000000000000000 01 621e 52ff 62 01 01",
        "77 07 01000e0700ff 01 72 6203 73 65 671b6322 53003c 53ffc4 622c 52ff 63 01f4 01",
        "77 07 0100010803ff 01 01 621e 52ff 58 01020304050607 03ab01",
    )
]
MAIN = 10  # of them all ways are short; the others have a part that is read in bytecode


class Numbers:
    """Whole numbers that are the same in every run (Park and Miller 1988)."""

    def __init__(self, seed):
        self.last = seed

    def below(self, limit):
        self.last = self.last * 16807 % 2147483647
        return self.last % limit


def x25(data):
    return crc16_x25(data, 0, len(data)).to_bytes(2, "little")


def kermit(data):
    return crc16_kermit(data, 0, len(data)).to_bytes(2, "big")


def message(number, body, checksum=x25):
    head = bytes((0x76, 3, 0xA1, number, 0x62, 0, 0x62, 0)) + body
    return head + b"\x63" + checksum(head) + b"\x00"


def framed(payload, checksum=x25):
    fill = -len(payload) % 4
    data = b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01" + payload.replace(b"\x1b" * 4, b"\x1b" * 8)
    data += bytes(fill) + b"\x1b\x1b\x1b\x1b\x1a" + bytes((fill,))
    return data + checksum(data)


def listed(entries, signature=b"\x01"):
    count = bytes((0x70 + len(entries),))
    if len(entries) > 15:
        count = bytes((0xF0 + len(entries) // 16, len(entries) % 16))
    return b"\x72\x63\x07\x01" + HEAD + count + b"".join(entries) + signature + b"\x01"


def telegram(body, checksum=x25):
    parts = (OPEN, body, CLOSE)
    return framed(b"".join(message(n, parts[n], checksum) for n in range(3)), checksum)


def told(frame):
    return (
        frame.offset,
        frame.length,
        frame.crc,
        frame.server_id,
        frame.list_name,
        frame.sensor_time,
        frame.signature,
        frame.quirks,
        frame.messages,
        frame.refused,
        [
            (e.obis, e.status, e.val_time, e.unit, e.scaler, e.raw, e.raw_sent, e.width)
            + (e.signature, e.quirks)
            for e in frame.entries
        ],
    )


def drained(receiver):
    found = []
    while True:
        event = receiver.next_event()
        if event is None:
            return found
        data = told(event.data) if event.kind == FRAME else event.data
        found.append((event.kind, event.offset, event.length, data))


def plain_receiver():
    """One that reads every telegram in bytecode."""
    receiver = SmlReceiver()
    receiver._pool = receiver._read = None
    return receiver


class BytecodeTransport:
    """While it lasts, frames are cut in bytecode."""

    def __enter__(self):
        self.take = sml_transport.take
        sml_transport.take = sml_bytecode.take

    def __exit__(self, kind, error, trace):
        sml_transport.take = self.take


def assert_same(pieces, receiver=None, plain=None):
    receiver = receiver or SmlReceiver()
    plain = plain or plain_receiver()
    for piece in pieces:
        receiver.feed(piece)
        found = drained(receiver)
        with BytecodeTransport():
            plain.feed(piece)
        assert found == drained(plain), bytes(piece)
    assert receiver.discarded == plain.discarded


def test_machine_code_is_there_where_micropython_emits_it():
    assert (sml_loops.skim is not None) == sml_loops.VIPER
    assert sml.VIPER == sml_loops.VIPER


def test_every_entry_alone_and_all_in_one_list():
    pieces = [telegram(listed([entry])) for entry in ENTRIES]
    pieces += [telegram(listed(ENTRIES[:MAIN])), telegram(listed(ENTRIES)), telegram(listed([]))]
    pieces += [telegram(listed(ENTRIES[:2] * 9)), telegram(listed(ENTRIES[:MAIN]))]
    assert_same(pieces + pieces)
    assert_same([telegram(listed(ENTRIES[:2]), kermit)] + pieces)


def test_lists_with_changed_bytes_under_good_checksums():
    numbers = Numbers(7)
    receiver, plain = SmlReceiver(), plain_receiver()
    for _ in range(400):
        first = numbers.below(MAIN)
        body = bytearray(listed(ENTRIES[first : first + 1 + numbers.below(4)]))
        for _ in range(1 + numbers.below(2)):
            body[numbers.below(len(body))] = numbers.below(256)
        assert_same([telegram(bytes(body))], receiver, plain)


def test_lists_of_any_entries_one_after_the_other():
    numbers = Numbers(17)
    receiver, plain = SmlReceiver(), plain_receiver()
    signatures = (b"\x01", b"\x03ab", b"\x83\x02" + bytes(48), b"\x80\x02", b"\x72\x01\x01")
    for _ in range(300):
        entries = [ENTRIES[numbers.below(len(ENTRIES))] for _ in range(numbers.below(7))]
        signature = signatures[max(0, numbers.below(9) - 4)]
        assert_same([telegram(listed(entries, signature))] * 2, receiver, plain)


def test_lists_cut_or_filled_under_good_checksums():
    numbers = Numbers(11)
    receiver, plain = SmlReceiver(), plain_receiver()
    whole = listed(ENTRIES[:MAIN])
    for _ in range(150):
        at = numbers.below(len(whole))
        less = at + numbers.below(6)
        assert_same([telegram(whole[:at] + whole[less:])], receiver, plain)
        assert_same([telegram(whole[:less] + whole[at:])], receiver, plain)


def test_streams_with_changed_bytes_in_any_pieces():
    numbers = Numbers(13)
    for _ in range(60):
        data = bytearray()
        for _ in range(4):
            first = numbers.below(MAIN)
            data += telegram(listed(ENTRIES[first : first + 3]), (x25, kermit)[numbers.below(2)])
        for _ in range(numbers.below(4)):
            data[numbers.below(len(data))] = (0x1B, 1, 0x1A, 0)[numbers.below(4)]
        at = numbers.below(len(data))
        data = bytes(data[:at] + data[at + numbers.below(9) :])
        pieces = []
        while data:
            size = 1 + numbers.below(120)
            pieces.append(data[:size])
            data = data[size:]
        assert_same(pieces)


def test_starts_hidden_in_failed_frames_are_found_the_same():
    hidden = b"\x1b" * 8 + b"\x01" * 4  # a literal escape, then data: or is it a start?
    good = telegram(listed(ENTRIES[:2]))
    for inside in (hidden, hidden * 5, b"\x1b" + good, b"\x1b\x1b" + good[:50], hidden + good):
        for end in (good[-8:], b"\x1b\x1b\x1b\x1b\x02abc", b""):
            data = good[:60] + inside + end
            assert_same([data, good])
            assert_same([data[at : at + 7] for at in range(0, len(data), 7)] + [good])


def test_fill_count_that_cuts_into_the_last_message():
    payload = b"".join(message(n, (OPEN, listed(ENTRIES[:2]), CLOSE)[n]) for n in range(3))
    payload += bytes(-len(payload) % 4)
    for fill in range(5):
        data = b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01" + payload + b"\x1b\x1b\x1b\x1b\x1a"
        data += bytes((fill,))
        data += x25(data)
        assert_same([data[:-8], data[-8:]])
        assert_same([data])


def test_short_and_long_way_of_a_list_in_python():
    for entries in (ENTRIES[:2], ENTRIES[:MAIN], []):
        data = message(1, listed(entries))
        frames = [sml.SmlFrame(0, 0, None), sml.SmlFrame(0, 0, None)]
        reasons = []
        sml_message.read_messages(data, frames[0], reasons.append)
        long_way = sml_message._read_common
        sml_message._read_common = lambda *_: 0
        try:
            sml_message.read_messages(data, frames[1], reasons.append)
        finally:
            sml_message._read_common = long_way
        assert told(frames[0]) == told(frames[1]) and frames[0].messages == 1 and not reasons
