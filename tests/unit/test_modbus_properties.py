"""Whatever arrives, in whatever pieces: one verdict, no exception, data only from a reply."""

import functools

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicamm.proto import modbus, modbus_judge, modbus_pdu, modbus_tcp

REQUEST = bytes.fromhex("010400480002F1DD")
GOOD = bytes.fromhex("01040443A800006FE0")
REFUSED = bytes.fromhex("018402C2C1")
FOREIGN = bytes.fromhex("01030443A800006E57")


def crc(data: bytes) -> bytes:
    """CRC-16/MODBUS bit by bit: a second implementation, to check with."""
    value = functools.reduce(_crc_byte, data, 0xFFFF)
    return value.to_bytes(2, "little")


def _crc_byte(value: int, byte: int) -> int:
    value ^= byte
    for _ in range(8):
        value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


PIECES = st.one_of(
    st.sampled_from([REQUEST, GOOD, REFUSED, FOREIGN]),
    st.sampled_from([GOOD[:3], GOOD[:7], REQUEST[:5], b"\x01", b"\x01\x04", b"\x01\x84"]),
    st.binary(max_size=6),
    st.binary(max_size=9).map(lambda data: b"\x01\x04" + data),
    st.binary(min_size=1, max_size=12).map(lambda data: data + crc(data)),
)
STREAMS = st.one_of(
    st.lists(PIECES, max_size=6).map(b"".join),
    st.binary(max_size=600),
)


def asked(operation: str) -> modbus.RtuClient:
    client = modbus.RtuClient()
    if operation == "read":
        client.read(1, 4, 0x48, 2)
    elif operation == "write":
        client.write_single(1, 0x48, 2)
    else:
        client.write_multiple(1, 0x48, [1, 2, 3])
    return client


def outcome(operation: str, chunks: list[bytes], last: bool):
    client = asked(operation)
    for chunk in chunks:
        client.feed(chunk)
    if last:
        client.timeout()
    return (
        client.status,
        client.error,
        client.exception_code,
        bytes(client.payload),
        client.discarded,
        client.expected_bytes if client.status == modbus_pdu.PENDING else None,
    )


OPERATIONS = st.sampled_from(["read", "write", "write_multiple"])


@settings(max_examples=150, deadline=None)
@given(OPERATIONS, STREAMS, st.lists(st.integers(0, 600), max_size=8), st.booleans())
@example("read", b"\x04" + GOOD, [3, 4, 5], False)
def test_chunking_changes_nothing(operation: str, stream: bytes, cuts: list[int], last: bool):
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[left:right] for left, right in zip(edges, edges[1:])]
    single = [stream[at : at + 1] for at in range(len(stream))]
    whole = outcome(operation, [stream], last)
    assert outcome(operation, chunks, last) == whole
    assert outcome(operation, single, last) == whole


@settings(max_examples=150, deadline=None)
@given(STREAMS)
def test_data_come_only_from_a_whole_reply(stream: bytes):
    client = asked("read")
    client.feed(stream)
    assert client.timeout() in (modbus_pdu.DONE, modbus_pdu.FAILED)
    if client.status == modbus_pdu.DONE:
        head = b"\x01\x04\x04" + bytes(client.payload)
        assert head + crc(head) in stream
    if client.error == modbus_pdu.EXCEPTION:
        head = b"\x01\x84" + bytes([client.exception_code])
        assert head + crc(head) in stream


@settings(max_examples=150, deadline=None)
@given(st.integers(1, len(GOOD) * 8), st.integers(1, len(GOOD) * 8), st.binary(max_size=3))
def test_bit_errors_never_pass(first: int, second: int, tail: bytes):
    damaged = int.from_bytes(GOOD, "big") ^ (1 << (first - 1))
    if second != first:
        damaged ^= 1 << (second - 1)
    client = asked("read")
    client.feed(damaged.to_bytes(len(GOOD), "big") + tail)
    assert client.timeout() == modbus_pdu.FAILED


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 247),
    st.sampled_from([3, 4]),
    st.integers(0, 0xFF00),
    st.integers(1, 125).flatmap(lambda n: st.binary(min_size=2 * n, max_size=2 * n)),
    st.binary(max_size=1),
    st.booleans(),
    st.binary(max_size=9),
)
def test_reply_is_found_between_stray_bytes_and_behind_an_echo(
    unit: int, function: int, address: int, data: bytes, stray: bytes, echo: bool, tail: bytes
):
    client = modbus.RtuClient()
    request = bytes(client.read(unit, function, address, len(data) // 2))
    head = bytes([unit, function, len(data)]) + data
    client.feed((request if echo else b"") + stray + head + crc(head) + tail)
    assert client.timeout() == modbus_pdu.DONE
    assert bytes(client.payload) == data
    assert client.discarded["echo"] == int(echo)
    assert client.discarded["stray"] == len(stray)
    assert client.discarded["trailing"] == len(tail)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40), st.integers(-5, 60))
def test_count_beyond_the_buffer_or_below_zero_is_borne(data: bytes, count: int):
    client = asked("read")
    client.feed(data, count)
    twin = asked("read")
    twin.feed(data[: max(count, 0)])
    assert (client.status, client.discarded) == (twin.status, twin.discarded)


@settings(max_examples=60, deadline=None)
@given(OPERATIONS, STREAMS, st.integers(1, 40))
def test_memory_and_work_are_bounded_whatever_comes(operation: str, stream: bytes, times: int):
    client = asked(operation)
    sizes = len(client._tx), len(client._rx), len(client.discarded)
    checks = []
    fits = modbus_judge.crc16
    modbus_judge.crc16 = lambda *arguments: checks.append(1) or fits(*arguments)
    try:
        for _ in range(times):
            client.feed(stream)
        client.timeout()
    finally:
        modbus_judge.crc16 = fits
    assert (len(client._tx), len(client._rx), len(client.discarded)) == sizes
    assert len(client._payloads) <= 2 and len(client._requests or ()) <= 2
    starts = 2 * (modbus_judge.MAX_STRAY + 1)  # before and behind an echo
    assert len(checks) <= 4 * starts + 8
    counted = sum(client.discarded[name] for name in ("stray", "trailing"))
    assert counted <= times * len(stream)


def tcp_frame(number: int, body: bytes, protocol: int = 0) -> bytes:
    """MBAP header and PDU."""
    return b"".join(word.to_bytes(2, "big") for word in (number, protocol, len(body))) + body


TCP_PIECES = st.one_of(
    st.sampled_from([tcp_frame(1, GOOD[:-2]), tcp_frame(1, REFUSED[:-2]), tcp_frame(0, GOOD)]),
    st.sampled_from([tcp_frame(1, FOREIGN[:-2]), tcp_frame(1, GOOD[:-2], 1), b"\x00\x01\x00"]),
    st.binary(max_size=9),
    st.binary(min_size=3, max_size=250).map(lambda body: tcp_frame(1, body)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TCP_PIECES, max_size=5).map(b"".join), st.integers(1, 300))
def test_tcp_stream_gives_one_verdict_in_any_chunking(stream: bytes, size: int):
    def outcome(step: int):
        client = modbus_tcp.TcpClient()
        client.read(1, 4, 0x48, 2)
        for at in range(0, len(stream), step):
            client.feed(stream[at : at + step])
        before = client.status
        client.timeout()
        assert len(client._rx) == modbus_tcp.MAX_ADU
        return before, client.status, client.error, bytes(client.payload), client.discarded

    whole = outcome(max(len(stream), 1))
    assert outcome(size) == outcome(1) == whole
    if whole[1] == modbus_pdu.DONE:
        assert tcp_frame(1, b"\x01\x04\x04" + whole[3]) in stream
    else:
        assert whole[1] == modbus_pdu.FAILED and not whole[3]
