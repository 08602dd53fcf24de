"""Fuzz target of the Modbus cores: any request, any bytes, any chunking, any moment of giving up.

What must hold is stated by `rtu` and `tcp`; a breach is an AssertionError, an undocumented
exception is whatever escapes.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

from dicamm.proto import modbus, modbus_pdu, modbus_tcp

sys.path.insert(0, str(Path(__file__).parent))
_MACHINE = importlib.reload(importlib.import_module("viper_on_cpython")).modbus_module()

MAX_INPUT = 700
CORES = [f"dicamm.proto.modbus{part}" for part in ("", "_judge", "_write", "_tcp")]
_TOTALS = ("stray", "trailing", "stale")  # counted in bytes, so they may grow with the input


class Bytes:
    """The fuzzer's input as a source of small numbers, zeros when it is used up."""

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def word(self) -> int:
        return self.byte() << 8 | self.byte()

    def rest(self) -> bytes:
        return self._data[self._at :]


def target(data: bytes) -> None:
    """One input: the first byte chooses the core, the next ones request and chunking."""
    source = Bytes(data)
    choice = source.byte()
    make = (modbus.RtuClient, _echoing, modbus_tcp.TcpClient)[choice % 3]
    if choice & 0x20 and make is modbus.RtuClient:
        make = _MACHINE.RtuClient
    request = _request(source)
    sizes = [source.byte() for _ in range(4)]
    stream = source.rest()[:MAX_INPUT]
    if choice & 0x80:
        stream = _answer_of(make, request, stream) + stream
    whole = _run(make, request, stream, [len(stream)])
    assert _run(make, request, stream, sizes) == whole
    if make is _MACHINE.RtuClient:
        assert _run(modbus.RtuClient, request, stream, sizes) == whole
    if choice & 0x40:
        _recovers(make, request, stream)


def _echoing() -> modbus.RtuClient:
    return modbus.RtuClient(True)


def _request(source: Bytes) -> tuple[int, ...]:
    """unit, function, address, count or value; as wild as it likes."""
    unit, function = source.byte(), (3, 4, 6, 16, 4, 4, 3, source.byte())[source.byte() % 8]
    return unit, function, source.word(), source.byte()


def _ask(client: Any, request: tuple[int, ...]) -> bytes | None:
    """The request's bytes; None where Modbus cannot say it."""
    unit, function, address, count = request
    try:
        if function == 6:
            return bytes(client.write_single(unit, address, count))
        if function == 16:
            return bytes(client.write_multiple(unit, address, list(range(count))))
        return bytes(client.read(unit, function, address, count))
    except ValueError:
        return None


def _answer_of(make: Any, request: tuple[int, ...], seed: bytes) -> bytes:
    """A regular reply, so that the fuzzer need not guess a CRC."""
    frame = _ask(make(), request)
    if frame is None:
        return b""
    head = frame[6:] if make is modbus_tcp.TcpClient else frame[:-2]
    if head[1] in (6, 16):
        body = head[:6]
    else:
        count = 2 * request[3]
        body = head[:2] + bytes([count]) + (seed + bytes(count))[:count]
    if make is modbus_tcp.TcpClient:
        return frame[:4] + len(body).to_bytes(2) + body
    return body + crc(body)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _table()


def crc(data: bytes) -> bytes:
    """CRC-16/MODBUS; not the code under test."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def _state(client: Any) -> tuple[Any, ...]:
    pending = client.status == modbus_pdu.PENDING
    return (
        client.status,
        client.error,
        client.exception_code,
        bytes(client.payload),
        dict(client.discarded),
        client.expected_bytes if pending else None,
    )


def _run(make: Any, request: tuple[int, ...], stream: bytes, sizes: list[int]) -> list[Any]:
    """The states after all bytes, in pieces of these sizes in turn, and after the time-out."""
    client = make()
    if _ask(client, request) is None:
        return []
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)] or 1
        turn += 1
        before = client.status
        assert client.feed(stream[at : at + size]) == client.status
        assert before == modbus_pdu.PENDING or client.status == before
        at += size
    states = [_state(client)]
    _believable(client, request, stream)
    assert client.timeout() in (modbus_pdu.DONE, modbus_pdu.FAILED)
    _believable(client, request, stream)
    return [*states, _state(client)]


def _believable(client: Any, request: tuple[int, ...], stream: bytes) -> None:
    """Data come from a whole reply alone, and every number stays within its bounds."""
    done = client.status == modbus_pdu.DONE
    assert (client.status == modbus_pdu.FAILED) == (client.error != modbus_pdu.NONE)
    assert bool(client.exception_code) <= (client.error == modbus_pdu.EXCEPTION)
    assert done or not client.payload
    thrown = [client.discarded.get(name, 0) for name in _TOTALS]
    assert sum(thrown) <= len(stream)
    assert client.status != modbus_pdu.PENDING or 1 <= client.expected_bytes <= 260
    if done and request[1] in (3, 4):
        body = bytes([*request[:2], 2 * request[3]]) + bytes(client.payload)
        assert len(client.payload) == 2 * request[3]
        assert body + crc(body) * (not isinstance(client, modbus_tcp.TcpClient)) in stream


def _recovers(make: Any, request: tuple[int, ...], stream: bytes) -> None:
    """After anything at all the next regular transaction works."""
    client = make()
    if _ask(client, request) is not None:
        client.feed(stream)
        client.timeout()
    if isinstance(client, modbus_tcp.TcpClient):
        client.connected()
    frame = client.read(1, 4, 0x48, 2)
    reply = bytes.fromhex("01040443A80000")
    if isinstance(client, modbus_tcp.TcpClient):
        reply = bytes(frame[:4]) + len(reply).to_bytes(2) + reply
    else:
        reply = (bytes(frame) if make is _echoing else b"") + reply + crc(reply)
    assert client.feed(reply) == modbus_pdu.DONE and bytes(client.payload) == b"\x43\xa8\x00\x00"


def seeds() -> list[bytes]:
    """Inputs to begin with: good, broken and odd replies to one request."""
    head = bytes([1, 0, 1, 0, 0x48, 2]) + bytes([1, 3, 9, 200])
    replies = [
        "01040443A800006FE0",
        "018402C2C1",
        "01030443A800006E57",
        "02040443A800005CE0",
        "01040243A889BE",
        "010400480002F1DD01040443A800006FE0",
        "0001040443A800006FE0FF",
    ]
    found = [
        bytes([which]) + head + bytes.fromhex(text)
        for text in replies
        for which in (0, 1, 0x42, 0x60)
    ]
    found.append(bytes([0x42]) + head + bytes.fromhex("00010000000701040443a80000"))
    for function in range(4):
        for which in (0x80, 0x81, 0x82, 0xA2):
            found.append(bytes([which, 1, 0, function, 0, 0x48, 2, 1, 3, 9, 200]) + b"\x43\xa8")
    return found
