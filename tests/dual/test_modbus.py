"""Modbus RTU client: hand-made frames, good and broken, in every chunking. Both interpreters."""

from dicamm.proto import modbus_bytecode, modbus_loops
from dicamm.proto.crc import crc16_modbus
from dicamm.proto.modbus import RtuClient
from dicamm.proto.modbus_pdu import (
    CRC,
    DONE,
    ERROR_NAMES,
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
from dicamm.proto.modbus_timing import silence_us, wire_time_us

REQUEST = bytes.fromhex("01 04 0048 0002 F1DD".replace(" ", ""))  # unit 1, input 0x48, 2 registers
GOOD = bytes.fromhex("01040443A800006FE0")  # f32 336.0
REFUSED = bytes.fromhex("018402C2C1")  # exception 2, illegal data address


def ask(reply, chunk=None, patience=True):
    """The client after the request above and `reply` in pieces of `chunk` bytes."""
    client = RtuClient()
    client.read(1, 4, 0x48, 2)
    step = chunk or max(len(reply), 1)
    for at in range(0, len(reply), step):
        client.feed(reply[at : at + step])
    if patience:
        client.timeout()
    return client


def verdict(client):
    return (client.status, client.error, client.exception_code, bytes(client.payload))


def refused(reply, error, status_before_timeout=None):
    client = ask(reply, patience=False)
    if status_before_timeout is not None:
        assert client.status == status_before_timeout
    client.timeout()
    assert client.status == FAILED and client.error == error, ERROR_NAMES[client.error]
    assert len(client.payload) == 0
    if SHORT <= error < EXCEPTION:
        assert client.discarded[ERROR_NAMES[error]] == 1


def test_read_request_is_the_documented_one():
    assert bytes(RtuClient().read(1, 4, 0x48, 2)) == REQUEST
    assert bytes(RtuClient().read(1, 3, 0, 1)) == bytes.fromhex("010300000001840A")


def test_write_requests_are_the_documented_ones():
    # Modbus Application Protocol V1.1b3, examples of sections 6.6 and 6.12, framed for unit 17
    assert bytes(RtuClient().write_single(17, 1, 3)) == bytes.fromhex("1106000100039A9B")
    request = RtuClient().write_multiple(17, 1, [0x000A, 0x0102])
    assert bytes(request) == bytes.fromhex("11100001000204000A0102C6F0")


def test_good_reply_in_every_chunking():
    for chunk in range(1, len(GOOD) + 1):
        client = ask(GOOD, chunk, patience=False)
        assert client.status == DONE and client.error == NONE
        assert bytes(client.payload) == bytes.fromhex("43A80000")


def test_count_argument_limits_what_is_taken():
    client = RtuClient()
    client.read(1, 4, 0x48, 2)
    buffer = bytearray(GOOD + b"\xff" * 20)
    assert client.feed(buffer, 5) == PENDING and client.expected_bytes == 4
    assert client.feed(memoryview(buffer)[5:], 4) == DONE
    assert client.discarded["trailing"] == 0


def test_regular_exception_names_its_code():
    for chunk in range(1, 6):
        client = ask(REFUSED, chunk, patience=False)
        assert verdict(client) == (FAILED, EXCEPTION, 2, b"")


# the broken replies that other masters take for data, lose, or fall over


def test_bit_error_in_data():
    refused(bytes.fromhex("01040443A900006FE0"), CRC, FAILED)


def test_bit_error_in_crc():
    refused(bytes.fromhex("01040443A800006FE1"), CRC, FAILED)


def test_silence():
    refused(b"", TIMEOUT, PENDING)


def test_one_byte_only():
    refused(GOOD[:1], SHORT, PENDING)


def test_two_bytes_only():
    refused(GOOD[:2], SHORT, PENDING)


def test_header_only():
    refused(GOOD[:3], SHORT, PENDING)


def test_cut_frame():
    for length in range(4, len(GOOD)):
        refused(GOOD[:length], SHORT, PENDING)


def test_reply_of_another_unit():
    refused(bytes.fromhex("02040443A800005CE0"), WRONG_UNIT, FAILED)


def test_reply_of_another_function():
    refused(bytes.fromhex("01030443A800006E57"), WRONG_FUNCTION, FAILED)


def test_exception_of_another_function():
    refused(bytes.fromhex("018302C0F1"), WRONG_FUNCTION, FAILED)


def test_byte_count_two_instead_of_four():
    refused(bytes.fromhex("01040243A889BE"), WRONG_LENGTH, FAILED)


def test_byte_count_eight_instead_of_four():
    refused(bytes.fromhex("01040843A8000043A80000DD86"), WRONG_LENGTH, FAILED)


def test_byte_count_that_lies_about_the_length():
    refused(bytes.fromhex("01040643A800001620"), WRONG_LENGTH, PENDING)


def test_zero_after_a_good_reply_is_passed_over():
    client = ask(GOOD + b"\x00")
    assert client.status == DONE and client.discarded["trailing"] == 1


def test_noise_after_a_good_reply_is_passed_over():
    for chunk in range(1, 11):
        client = ask(GOOD + b"\xff", chunk)
        assert client.status == DONE and client.discarded["trailing"] == 1


def test_zero_before_a_good_reply_is_passed_over():
    for chunk in range(1, 11):
        client = ask(b"\x00" + GOOD, chunk, patience=False)
        assert client.status == DONE and client.discarded["stray"] == 1
        assert bytes(client.payload) == GOOD[3:7]


def test_echo_of_the_request_is_passed_over():
    for chunk in range(1, 18):
        client = ask(REQUEST + GOOD, chunk, patience=False)
        assert client.status == DONE and client.discarded["echo"] == 1
        assert bytes(client.payload) == GOOD[3:7]


# further tolerance and refusal


def test_any_stray_byte_before_reply_or_exception():
    for stray in range(256):
        client = ask(bytes([stray]) + GOOD)
        assert client.status == DONE, stray
        assert verdict(ask(bytes([stray]) + REFUSED)) == (FAILED, EXCEPTION, 2, b""), stray


def test_stray_byte_before_echo_and_before_reply():
    client = ask(b"\x00" + REQUEST + b"\xff" + GOOD, patience=False)
    assert client.status == DONE
    assert client.discarded["stray"] == 2 and client.discarded["echo"] == 1


def test_stray_byte_that_looks_like_the_header():
    client = RtuClient()
    client.read(4, 4, 0, 2)  # unit, function and byte count are all 4
    reply = bytes.fromhex("040404000000016F44")
    assert client.feed(b"\x04" + reply) == DONE
    assert bytes(client.payload) == b"\x00\x00\x00\x01"


def test_echo_whose_third_byte_looks_like_the_byte_count():
    client = RtuClient()
    request = bytes(client.read(1, 4, 0x0448, 2))
    assert client.feed(request) == PENDING
    assert client.feed(GOOD) == DONE and client.discarded["echo"] == 1


def test_echo_alone_is_a_timeout():
    client = ask(REQUEST)
    assert client.error == TIMEOUT and client.discarded["echo"] == 1


def test_too_much_noise_before_a_reply_is_refused():
    client = ask(b"\x00" * 5 + GOOD)
    assert client.status == FAILED and client.error == CRC


def test_endless_noise_ends_by_itself():
    client = ask(bytes(range(256)) * 4, patience=False)
    assert client.status == FAILED


def test_write_is_confirmed_only_by_its_own_reply():
    client = RtuClient()
    client.write_multiple(17, 1, [0x000A, 0x0102])
    assert client.feed(bytes.fromhex("1110000100021298")) == DONE
    assert len(client.payload) == 0
    client.write_multiple(17, 2, [0x000A, 0x0102])
    assert client.feed(bytes.fromhex("1110000100021298")) == FAILED
    assert client.error == WRONG_CONTENT


def test_long_echo_of_a_write_is_passed_over():
    client = RtuClient()
    request = bytes(client.write_multiple(17, 1, [0x000A, 0x0102]))
    for byte in request + bytes.fromhex("1110000100021298"):
        assert client.status == PENDING
        client.feed(bytes([byte]))
    assert client.status == DONE and client.discarded["echo"] == 1


def test_local_echo_does_not_confirm_a_single_write():
    client = RtuClient(True)
    request = bytes(client.write_single(17, 1, 3))
    assert client.feed(request) == PENDING
    assert client.feed(request) == DONE
    client.write_single(17, 1, 3)
    client.feed(request)
    assert client.timeout() == FAILED and client.error == TIMEOUT


def test_single_write_without_local_echo_is_confirmed_at_once():
    client = RtuClient()
    assert client.feed(bytes(client.write_single(17, 1, 3))) == DONE


def test_bytes_before_any_request_are_counted():
    client = RtuClient()
    assert client.feed(GOOD) == IDLE and client.timeout() == IDLE
    assert client.discarded["trailing"] == len(GOOD)


def test_longest_reply():
    client = RtuClient()
    client.read(1, 4, 0, 125)
    frame = bytearray(b"\x01\x04\xfa" + bytes(range(250)))
    crc = crc16_modbus(frame, 0, len(frame))
    frame += bytes([crc & 0xFF, crc >> 8])
    assert client.feed(b"\x00\x00\x00\x00") == PENDING
    assert client.feed(frame) == DONE
    assert bytes(client.payload) == bytes(range(250))


def test_client_recovers_after_every_failure():
    client = RtuClient()
    for broken in (b"", GOOD[:4], b"\xff" * 300, REFUSED, REQUEST):
        client.read(1, 4, 0x48, 2)
        client.feed(broken)
        client.timeout()
        client.read(1, 4, 0x48, 2)
        assert client.feed(GOOD) == DONE and client.error == NONE


def test_requests_that_modbus_cannot_say_raise():
    client = RtuClient()
    wrong = (
        lambda: client.read(0, 4, 0, 1),
        lambda: client.read(248, 4, 0, 1),
        lambda: client.read(1, 2, 0, 1),
        lambda: client.read(1, 4, 0, 0),
        lambda: client.read(1, 4, 0, 126),
        lambda: client.read(1, 4, 0xFFFF, 2),
        lambda: client.read(1, 4, -1, 1),
        lambda: client.write_single(1, 0, 0x10000),
        lambda: client.write_multiple(1, 0, []),
        lambda: client.write_multiple(1, 0, [0] * 124),
        lambda: client.write_multiple(1, 0, [1, -1]),
    )
    for number, call in enumerate(wrong):
        try:
            call()
        except ValueError:
            continue
        raise AssertionError(number)


def test_silence_and_wire_time():
    assert silence_us(9600) == 4011  # 38.5 bits, rounded up
    assert silence_us(19200) == 2006
    assert silence_us(38400) == 1750 and silence_us(115200) == 1750
    assert wire_time_us(173, 9600, 11) == 198230  # 80 registers, request and reply
    assert wire_time_us(17, 115200, 10) == 1476


def test_both_ways_of_copying_agree():
    for copy in (modbus_bytecode.copy_bytes, modbus_loops.copy_bytes):
        target = bytearray(b"abcdef")
        copy(target, 1, memoryview(b"0123456")[2:], 1, 3)
        assert target == b"a345ef"
        copy(target, 0, target, 2, 4)  # down, over itself
        assert target == b"45efef"
        copy(target, 0, b"", 0, 0)
        assert target == b"45efef"
