"""Modbus/TCP client: hand-made frames, good and broken, in every chunking. Both interpreters."""

from dicamm.proto.modbus_pdu import (
    CRC,
    DONE,
    EXCEPTION,
    FAILED,
    IDLE,
    NONE,
    PENDING,
    SHORT,
    TIMEOUT,
    WRONG_CONTENT,
    WRONG_FUNCTION,
    WRONG_LENGTH,
    WRONG_UNIT,
)
from dicamm.proto.modbus_tcp import TcpClient

# transaction 1, protocol 0, length, unit 1, function 4 ...
REQUEST = bytes.fromhex("000100000006010400480002")
GOOD = bytes.fromhex("00010000000701040443a80000")
REFUSED = bytes.fromhex("000100000003018402")


def ask(reply, chunk=None):
    client = TcpClient()
    client.read(1, 4, 0x48, 2)
    step = chunk or max(len(reply), 1)
    for at in range(0, len(reply), step):
        client.feed(reply[at : at + step])
    return client


def refused(reply, error):
    for chunk in range(1, len(reply) + 1):
        client = ask(reply, chunk)
        assert client.status == FAILED and client.error == error, (client.error, chunk)
        assert len(client.payload) == 0


def test_read_request_is_the_documented_one():
    assert bytes(TcpClient().read(1, 4, 0x48, 2)) == REQUEST


def test_write_requests_are_the_documented_ones():
    # Modbus Application Protocol V1.1b3, examples of sections 6.6 and 6.12
    assert bytes(TcpClient().write_single(255, 1, 3)) == bytes.fromhex("000100000006ff0600010003")
    request = TcpClient().write_multiple(0, 1, [0x000A, 0x0102])
    assert bytes(request) == bytes.fromhex("00010000000b00100001000204000a0102")


def test_good_reply_in_every_chunking():
    for chunk in range(1, len(GOOD) + 1):
        client = ask(GOOD, chunk)
        assert client.status == DONE and client.error == NONE
        assert bytes(client.payload) == bytes.fromhex("43a80000")


def test_requests_are_numbered_and_the_number_wraps():
    client = TcpClient()
    for number in list(range(1, 5)) + [0xFFFF, 0, 1]:
        client._number = (number - 1) & 0xFFFF
        request = bytes(client.read(1, 4, 0x48, 2))
        assert request[:2] == bytes([number >> 8, number & 0xFF])
        assert client.feed(request[:2] + GOOD[2:]) == DONE


def test_reply_that_comes_too_late_is_dropped_by_its_number():
    client = TcpClient()
    client.read(1, 4, 0x48, 2)
    assert client.timeout() == FAILED and client.error == TIMEOUT
    client.read(1, 4, 0x34, 2)
    assert client.feed(GOOD) == PENDING and client.discarded["stale"] == 1
    assert client.feed(b"\x00\x02" + GOOD[2:]) == DONE


def test_late_reply_between_requests_leaves_the_stream_whole():
    client = TcpClient()
    client.read(1, 4, 0x48, 2)
    client.feed(GOOD[:9])
    assert client.timeout() == FAILED and client.error == SHORT
    client.feed(GOOD[9:11])
    client.read(1, 4, 0x34, 2)
    assert client.feed(GOOD[11:] + b"\x00\x02" + GOOD[2:]) == DONE
    assert client.discarded["stale"] == 1 and client.discarded["short"] == 1


def test_bytes_behind_a_reply_leave_its_registers_alone():
    client = ask(GOOD + bytes.fromhex("000900000007ffffffffffffff") + b"\x00\x0a\x00")
    assert client.status == DONE and client.discarded["stale"] == 1
    assert bytes(client.payload) == bytes.fromhex("43a80000")


def test_regular_exception_names_its_code():
    for chunk in range(1, 10):
        client = ask(REFUSED, chunk)
        assert client.status == FAILED and client.error == EXCEPTION
        assert client.exception_code == 2


def test_replies_to_something_else_are_refused():
    refused(bytes.fromhex("00010000000702040443a80000"), WRONG_UNIT)
    refused(bytes.fromhex("00010000000701030443a80000"), WRONG_FUNCTION)
    refused(bytes.fromhex("000100000003018302"), WRONG_FUNCTION)
    refused(bytes.fromhex("00010000000501040243a8"), WRONG_LENGTH)
    refused(bytes.fromhex("00010000000701040643a80000"), WRONG_LENGTH)
    refused(bytes.fromhex("00010000000801040443a8000000"), WRONG_LENGTH)
    refused(bytes.fromhex("00010000000401840200"), WRONG_LENGTH)


def test_bytes_that_are_no_modbus_break_the_stream_until_the_next_connection():
    for head in ("000100010007", "000100000002", "0001000000ff", "000100000000"):
        client = ask(bytes.fromhex(head) + GOOD[6:])
        assert client.status == FAILED and client.error == CRC and client.broken
        assert client.discarded["trailing"] == 7
        client.read(1, 4, 0x48, 2)
        assert client.status == FAILED and client.error == CRC
        client.connected()
        request = bytes(client.read(1, 4, 0x48, 2))
        assert client.feed(request[:2] + GOOD[2:]) == DONE


def test_write_is_confirmed_only_by_its_own_reply():
    client = TcpClient()
    client.write_multiple(1, 1, [10, 258])
    assert client.feed(bytes.fromhex("000100000006011000010002")) == DONE
    assert len(client.payload) == 0
    client.write_multiple(1, 2, [10, 258])
    assert client.feed(bytes.fromhex("000200000006011000010002")) == FAILED
    assert client.error == WRONG_CONTENT
    client.write_single(1, 2, 7)
    assert client.feed(bytes.fromhex("000300000006010600020007")) == DONE


def test_count_argument_limits_what_is_taken():
    client = TcpClient()
    client.read(1, 4, 0x48, 2)
    assert client.expected_bytes == 6
    assert client.feed(GOOD, 8) == PENDING and client.expected_bytes == 5
    assert client.feed(GOOD[8:], -1) == PENDING
    assert client.feed(GOOD[8:], 99) == DONE


def test_bytes_before_any_request_are_counted():
    client = TcpClient()
    assert client.feed(GOOD) == IDLE and client.timeout() == IDLE
    assert client.discarded["stale"] == 1


def test_longest_reply():
    client = TcpClient()
    client.read(1, 4, 0, 125)
    reply = b"\x00\x01\x00\x00\x00\xfd\x01\x04\xfa" + bytes(range(250))
    assert client.feed(reply) == DONE and bytes(client.payload) == bytes(range(250))


def test_requests_that_modbus_cannot_say_raise():
    client = TcpClient()
    wrong = (
        lambda: client.read(-1, 4, 0, 1),
        lambda: client.read(256, 4, 0, 1),
        lambda: client.read(1, 2, 0, 1),
        lambda: client.read(1, 4, 0, 126),
        lambda: client.read(1, 4, 0xFFFF, 2),
        lambda: client.write_single(1, 0, 0x10000),
        lambda: client.write_multiple(1, 0, []),
        lambda: client.write_multiple(1, 0, [1, -1]),
    )
    for number, call in enumerate(wrong):
        try:
            call()
        except ValueError:
            continue
        raise AssertionError(number)
