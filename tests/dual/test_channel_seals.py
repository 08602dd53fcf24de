"""What runs inside the CLS channel, on CPython and on MicroPython (tools/run_dual.py).

The vector was made with Python's hmac: HKDF (RFC 5869) over key and nonces, then HMAC over the
MAC structure of RFC 9052 section 6.3, all spelled out in `test_cls_seal.py`.
"""

from dicamm.link import channel

KEY = bytes(range(32))
OWN = bytes(range(100, 116))
THEIRS = bytes(range(200, 216))
BOX = "ETST0020000017"
# message 1 to the aEMT: {0: 4, 1: 7, 2: 0, 3: 12, 4: ""}
SEALED = bytes.fromhex(
    "d18443a10105a1044e4554535430303230303030303137"
    "4d8201a5000401070200030c0460"
    "5820312d5eed04cf78689a72a5f5599d0d462468ddc9d60a5b12fc76ae087c17cd5d"
)
# message 1 to the box: {0: 1, 1: 9}
ASKED = bytes.fromhex(
    "d18443a10105a1044e4554535430303230303030303137"
    "478201a200010109"
    "58208edd5ae4f96e8d9bba7e2921aa21b7fc501df951af610a08eb81fb0a42af843a"
)


def seals():
    return channel.Seals(KEY, BOX, OWN, THEIRS)


def broken(function, *arguments):
    try:
        function(*arguments)
    except ValueError:
        return True
    return False


def test_messages_are_sealed_as_the_rules_say():
    assert seals().seal({0: 4, 1: 7, 2: 0, 3: 12, 4: ""}) == SEALED


def test_a_message_of_the_aemt_is_opened_once_and_in_turn():
    box = seals()
    assert box.open(ASKED) == {0: 1, 1: 9}
    assert broken(box.open, ASKED)  # again


def test_a_flipped_bit_anywhere_breaks_the_channel():
    for index in range(len(ASKED)):
        bad = bytearray(ASKED)
        bad[index] ^= 1
        assert broken(seals().open, bytes(bad)), index


def test_what_the_box_sealed_is_nothing_that_the_box_opens():
    box = seals()
    assert broken(seals().open, box.seal({0: 1, 1: 9}))


def test_other_nonces_or_another_box_have_other_keys():
    for other in (
        channel.Seals(KEY, BOX, THEIRS, OWN),
        channel.Seals(KEY, BOX, OWN, OWN),
        channel.Seals(KEY, "ETST0020000018", OWN, THEIRS),
        channel.Seals(KEY[1:] + b"x", BOX, OWN, THEIRS),
    ):
        assert broken(other.open, ASKED)


def test_the_openings_have_one_form():
    assert channel.opening(BOX, OWN) == (
        b"\xa4\x00\x0f\x01\x01\x02\x6e" + BOX.encode() + b"\x03\x50" + OWN
    )
    good = b"\xa3\x00\x10\x01\x01\x03\x50" + THEIRS
    assert channel.nonce_of(good) == THEIRS
    for bad in (
        b"",
        b"\x01",
        b"\x80",
        good[:-1],
        good.replace(b"\x00\x10", b"\x00\x0f"),
        good.replace(b"\x01\x01", b"\x01\x02"),
        b"\xa3\x00\x10\x01\x01\x03\x4f" + THEIRS[1:],
        b"\xa3\x00\x10\x01\x01\x03\x07",
    ):
        assert broken(channel.nonce_of, bad), bad


def test_an_envelope_is_a_byte_string_of_the_shortest_form():
    assert channel.envelope(b"abc") == b"\x43abc"
    assert channel.envelope(bytes(24))[:2] == b"\x58\x18"
    assert channel.envelope(bytes(300))[:3] == b"\x59\x01\x2c"


class Stream:
    """Gives bytes as they are asked for."""

    def __init__(self, data):
        self.data = data

    async def readexactly(self, count):
        if count > len(self.data):
            raise EOFError
        taken, self.data = self.data[:count], self.data[count:]
        return taken


def run(coroutine):
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def test_envelopes_are_received_up_to_their_limit():
    for size in (0, 1, 23, 24, 255, 256, 1024):
        content = bytes(size)
        stream = Stream(channel.envelope(content) + b"rest")
        assert run(channel.receive(stream)) == content and stream.data == b"rest"
    for bad in (b"\x59\x04\x01" + bytes(1025), b"\x5a\x00\x00\x00\x01x", b"\xa0", b"\x18"):
        assert broken(run, channel.receive(Stream(bad)))


class Service:
    """The device behind the channel: records 1 to 20."""

    def __init__(self):
        self.asked = []

    def hello(self):
        return {"cls_id": BOX}

    def status(self):
        return {}

    def set_time(self, utc_ms, bound_ms):
        self.asked.append("time")

    def acknowledge(self, seq):
        return seq

    def records(self, first, count):
        self.asked.append((first, count))
        for seq in range(first, min(21, first + count)):
            yield seq, b"record%d" % seq


class Box:
    """A channel over a stream, and its aEMT."""

    def __init__(self, allowed=(1, 3, 6, 10)):
        self.service = Service()
        self.stream = Stream(b"")
        self.stream.write = self.sent
        self.messages = []
        self.emt = channel.Seals(KEY, BOX, OWN, THEIRS)
        self.emt._out, self.emt._in = self.emt._in, self.emt._out  # the other end's view
        self.channel = channel.Channel(self.service, allowed, self.stream, seals())

    def sent(self, data):
        self.messages.append(self.emt.open(run(channel.receive(Stream(data)))))

    def ask(self, message):
        """What the box answers: its messages since the last question."""
        self.messages = []
        self.stream.data += channel.envelope(self.emt.seal(message))
        run(self.channel.take_next())
        return self.messages

    def numbers(self):
        return [message[2] for message in self.messages if message[0] == 5]


def test_what_is_not_allowed_is_answered_so_and_not_done():
    box = Box()
    for kind in (0, 2, 4, 5, 7, 8, 9, 11, 12, 13, 14, 99, None, "x"):
        answer = box.ask({0: kind, 1: 3, 2: 1790000000000, 3: 5})
        assert answer == [{0: 4, 1: 3, 2: 14, 3: None, 4: ""}], kind
    assert not box.service.asked and not box.channel.handed_over
    assert Box((2,)).ask({0: 2, 1: 3, 2: 1790000000000, 3: 5})[0][2] == 0


def test_records_are_pushed_from_where_the_aemt_is_a_few_at_a_time():
    box = Box()
    box.channel.push()
    assert not box.messages  # it has not said what it has
    box.ask({0: 6, 1: 1, 2: 3, 4: 3})
    box.channel.push()
    box.channel.push()
    assert box.numbers() == [4, 5, 6, 7, 8, 9]
    box.ask({0: 6, 1: 2, 2: 9, 4: 9})
    box.channel.push()
    assert box.numbers() == [10, 11, 12, 13, 14, 15]


def test_what_is_missing_is_sent_again_a_few_at_a_time_and_the_rest_goes_on():
    box = Box()
    found = box.ask({0: 6, 1: 1, 2: 2, 3: [[3, 16], [18, 18]], 4: 19})
    assert [message[2] for message in found if message[0] == 5] == [3, 4, 5, 6, 7, 8]
    box.channel.push()
    assert box.numbers()[-1] == 20


def test_a_request_for_records_gets_no_more_than_a_few():
    box = Box()
    found = box.ask({0: 10, 1: 1, 2: 1, 3: 20})
    assert len(found) == 7 and found[-1] == {0: 4, 1: 1, 2: 0, 3: 6, 4: ""}


def test_malformed_requests_are_answered_or_counted():
    box = Box()
    assert box.ask({0: 6, 1: 1, 2: -1})[0][2] == 12
    assert box.ask({0: 6, 1: 1, 2: 1, 3: 5})[0][2] == 12
    assert box.ask({0: 6, 1: 1, 2: 1, 3: [5]})[0][2] == 12
    assert box.ask({0: 6, 1: 1, 2: 1, 3: [[1, "x"]]})[0][2] == 12
    assert box.ask({0: 10, 1: 1, 2: "x", 3: "y"})[0][2] == 12
    assert box.ask({0: 3, 1: 1})[0][2] == 1
    assert box.ask({0: 1}) == [] and box.ask({}) == [] and box.channel.malformed == 2
