"""The loops of a Modbus transaction: machine code and bytecode agree. Both interpreters."""

import sys
from array import array

from dicamm.proto import modbus, modbus_bytecode, modbus_judge, modbus_loops
from dicamm.proto.crc import crc16_modbus

GOOD = bytes.fromhex("01040443A800006FE0")
REQUEST = bytes.fromhex("010400480002F1DD")


def framed(head):
    crc = crc16_modbus(head, 0, len(head))
    return bytes(head) + bytes([crc & 0xFF, crc >> 8])


def both(name, *arguments):
    """What both ways return, on copies of the same buffers, and the buffers after."""
    results = []
    for module in (modbus_loops, modbus_bytecode):
        own = [copied(argument) for argument in arguments]
        results.append((getattr(module, name)(*own), own))
    assert results[0] == results[1], (name, arguments)
    return results[0]


def use(module):
    """The client's loops from now on."""
    for name in ("copy_bytes", "crc16", "put_read", "take_reply"):
        setattr(modbus, name, getattr(module, name))
        if hasattr(modbus_judge, name):
            setattr(modbus_judge, name, getattr(module, name))


def copied(argument):
    if isinstance(argument, bytearray):
        return bytearray(argument)
    if isinstance(argument, array):
        return array("H", argument)
    return argument


def test_machine_code_is_used_where_the_interpreter_can():
    emits = bool(getattr(sys.implementation, "_mpy", 0) >> 10)
    assert emits == modbus_loops.VIPER
    if emits:
        assert modbus_loops.take_reply is not modbus_bytecode.take_reply


def test_requests_are_the_same():
    for unit in (-1, 0, 1, 17, 247, 248, 255):
        for function in (0, 2, 3, 4, 5, 16):
            for address in (-1, 0, 0x48, 0xFF83, 0xFFFF, 0x10000):
                for count in (-1, 0, 1, 2, 125, 126):
                    length, _ = both("put_read", bytearray(12), unit, function, address, count)
                    assert length in (0, 8)
    _, (frame, *_rest) = both("put_read", bytearray(10), 1, 4, 0x48, 2)
    assert frame == REQUEST + b"\x00\x00"


def test_regular_replies_are_taken_whole_by_both():
    for count in (1, 2, 3, 80, 124, 125):
        payload = bytes([(31 * number + count) & 0xFF for number in range(2 * count)])
        reply = framed(bytearray([1, 4, 2 * count]) + payload)
        taken, (_, _, kept, _, _) = both(
            "take_reply", REQUEST, reply, bytearray(260), len(reply), count
        )
        assert taken == 1 and kept[: len(reply)] == reply


def test_every_bit_error_is_refused_by_both():
    for bit in range(8 * len(GOOD)):
        damaged = bytearray(GOOD)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        assert both("take_reply", REQUEST, bytes(damaged), bytearray(20), 9, 2)[0] == 0


def test_every_other_size_or_count_is_refused_by_both():
    for size in range(len(GOOD) + 4):
        for count in range(1, 6):
            taken, _ = both("take_reply", REQUEST, GOOD + bytes(3), bytearray(40), size, count)
            assert taken == (size == len(GOOD) and count == 2)


def test_reply_that_an_echo_would_begin_like_is_left_to_the_slow_way():
    request = bytes.fromhex("010404480002")
    assert both("take_reply", request, GOOD, bytearray(20), 9, 2)[0] == 0


def test_checksums_are_the_same():
    frame = bytes(range(256))
    for start, end in ((0, 0), (0, 1), (5, 6), (0, 256), (3, 251)):
        crc, _ = both("crc16", frame, start, end)
        assert crc == crc16_modbus(frame, start, end)
    assert both("crc16", b"123456789", 0, 9)[0] == 0x4B37
    assert both("crc16", GOOD, 0, 9)[0] == 0


def test_copies_are_the_same():
    both("copy_bytes", bytearray(b"abcdef"), 1, memoryview(b"0123456")[2:], 1, 3)
    both("copy_bytes", bytearray(b"abcdef"), 0, b"", 0, 0)


def test_client_comes_to_the_same_verdicts_without_machine_code():
    verdicts = []
    replies = (GOOD, GOOD + b"\xff", b"\x00" + GOOD, REQUEST + GOOD, GOOD[:5], b"", b"\xff" * 300)
    for module in (modbus_loops, modbus_bytecode):
        use(module)
        client = modbus.RtuClient()
        for reply in replies:
            frame = bytes(client.read(1, 4, 0x48, 2))
            status = (client.feed(reply), client.timeout())
            verdicts.append((module, frame, status, client.error, bytes(client.payload)))
    use(modbus_loops)
    half = len(replies)
    for fast, slow in zip(verdicts[:half], verdicts[half:]):
        assert fast[1:] == slow[1:]
