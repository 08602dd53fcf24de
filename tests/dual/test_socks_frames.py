"""The frames of SOCKS-TLS at the box. Runs on CPython and on MicroPython (tools/run_dual.py)."""

from dicamm.link import socks

HELLO = b"\x16\x03\x03\x00\x02hi"
CHANGE = b"\x14\x03\x03\x00\x01\x01"
DATA = b"\x17\x03\x03\x00\x05hello"
ALERT = b"\x15\x03\x03\x00\x02\x01\x00"


class Raw:
    """A socket that gives `chunks` one by one, None where there is nothing yet, and takes
    `limit` bytes at a time, every second time nothing."""

    def __init__(self, chunks=(), limit=1000):
        self.chunks = list(chunks)
        self.limit = limit
        self.taken = b""
        self.closed = 0
        self.turn = 0

    def readinto(self, buffer):
        if not self.chunks:
            return 0
        chunk = self.chunks.pop(0)
        if chunk is None:
            return None
        if isinstance(chunk, OSError):
            raise chunk
        count = min(len(chunk), len(buffer))
        buffer[:count] = chunk[:count]
        if count < len(chunk):
            self.chunks.insert(0, chunk[count:])
        return count

    def write(self, data):
        self.turn += 1
        if self.limit < 1000 and self.turn % 2:
            return None
        part = bytes(data[: self.limit])
        self.taken += part
        return len(part)

    def close(self):
        self.closed += 1


def framed(raw):
    return socks.Framed(raw, lambda flags: flags)


def read_all(stream, size):
    """All bytes up to the end, and how often there were none yet."""
    found, waits = b"", 0
    buffer = bytearray(size)
    while True:
        count = stream.readinto(buffer)
        if count is None:
            waits += 1
        elif not count:
            return found, waits
        else:
            found += bytes(buffer[:count])


def write_all(stream, data):
    while data:
        count = stream.write(data)
        data = data[count:] if count else data


def test_what_is_said_in_the_clear():
    assert socks.GREETING == b"\x05\x01\x06" and socks.CHOSEN == b"\x05\x06"
    assert socks.connect_request("aemt.x-1") == b"\x05\x01\x00\x03\x08aemt.x-1\x00\x00"


def test_a_name_that_no_profile_can_have_is_refused():
    for name in ("", "A", "a b", "a_b", "a" * 64, "a\n", "ä"):
        try:
            socks.connect_request(name)
        except ValueError:
            continue
        raise AssertionError(name)


def test_each_record_travels_in_a_frame_of_its_state_however_little_is_taken_at_once():
    expected = b"\x01\x01\x00\x07" + HELLO + b"\x01\x01\x00\x06" + CHANGE
    expected += b"\x01\x03\x00\x0a" + DATA + b"\x01\x04\x00\x07" + ALERT
    for limit in (1, 2, 3, 7, 1000):
        raw = Raw(limit=limit)
        stream = framed(raw)
        write_all(stream, HELLO + CHANGE)
        write_all(stream, DATA)
        write_all(stream, ALERT)
        assert raw.taken == expected


def test_frames_are_taken_apart_in_any_chunking():
    data = b"\x01\x01\x00\x07" + HELLO + b"\x01\x03\x00\x03" + DATA[:3] + b"\x01\x03\x00\x07"
    data += DATA[3:] + b"\x01\x04\x00\x07" + ALERT
    for size in (1, 2, 5, 100):
        for cut in range(len(data) + 1):
            stream = framed(Raw([data[:cut] or None, None, data[cut:] or None]))
            found, waits = read_all(stream, size)
            assert found == HELLO + DATA + ALERT and waits > 0
            assert stream.fault == ""


def test_a_frame_against_the_rules_ends_the_stream():
    for bad in (
        b"\x02\x01\x00\x01x",
        b"\x01\x02\x00\x01x",
        b"\x01\x05\x00\x01x",
        b"\x01\x03\xff\xffx",
        b"\x01\x03\x00\x01a\x01\x01\x00\x01x",
    ):
        stream = framed(Raw([bad, b"more"]))
        found, _ = read_all(stream, 50)
        assert b"x" not in found and stream.fault == "frame"


def test_an_empty_closing_frame_is_the_end():
    stream = framed(Raw([b"\x01\x03\x00\x01a\x01\x04\x00\x00", b"more"]))
    assert read_all(stream, 50) == (b"a", 0) and stream.fault == "closed"


def test_a_lost_connection_is_an_end_and_an_error_number():
    stream = framed(Raw([OSError(104, "reset")]))
    assert stream.readinto(bytearray(5)) == 0 and stream.fault == "lost"
    raw = Raw()
    raw.write = lost
    assert framed(raw).write(DATA) == -104


def lost(data):
    raise OSError(104, "reset")


def test_closing_is_said_once_and_not_amid_a_record():
    raw = Raw()
    stream = framed(raw)
    stream.close()
    stream.close()
    assert raw.taken == b"\x01\x04\x00\x00" and raw.closed == 1
    raw = Raw(limit=6)
    stream = framed(raw)
    while not stream.write(DATA):
        pass
    stream.close()
    assert raw.taken == b"\x01\x03\x00\x0a" + DATA[:6] and raw.closed == 1


def test_tls_may_ask_what_there_is_and_close():
    raw = Raw()
    stream = framed(raw)
    assert stream.ioctl(3, 5) == 5
    assert stream.ioctl(10, 0) < 0
    assert stream.ioctl(4, 0) == 0 and raw.closed == 1


def test_the_pause_after_a_refusal_is_five_to_sixty_seconds():
    pauses = [socks.refused_pause_ms(byte) for byte in range(256)]
    assert pauses[0] == 5000 and pauses[255] == 60000
    assert pauses == sorted(pauses) and len(set(pauses)) == 256
