"""Fuzz target of the wired M-Bus cores: streams of frames, records, the master, mutated frames.

Records are read once more by a plain second walk here, written from the rules and not from the
device's code. A breach is an AssertionError, anything else that escapes is one too.
"""

from collections.abc import Iterator
from typing import Any

from clsbench.meters.mbus_encode import bcd, integer, long_frame, secondary_address, telegram
from dicamm.proto import mbus, mbus_codes, mbus_fixed, mbus_frame, mbus_master, mbus_profile
from dicamm.proto.mbus_records import MbusRecords

MAX_INPUT = 500
CORES = [
    *("dicamm.proto.mbus", "dicamm.proto.mbus_frame", "dicamm.proto.mbus_records"),
    *("dicamm.proto.mbus_values", "dicamm.proto.mbus_reals", "dicamm.proto.mbus_words"),
    *("dicamm.proto.mbus_profile", "dicamm.proto.mbus_master", "dicamm.proto.mbus_fixed"),
]
_ADDRESS = secondary_address("12345678", "ELS", 51, 2)
_RECORDS = (
    integer(-74000, 4, b"\x03", storage=17, tariff=2, device=1)
    + bcd(-1234567, 4, b"\x13")
    + b"\x05\x5b\xcd\xcc\xcc\x3d"
    + b"\x04\x6d\x19\x0f\x8a\x17"
    + b"\x0d\xfd\x11\x05HELLO"
    + b"\x02\xfd\x48\x05\x09"
    + b"\x02\x7c\x03HR%\xd4\x11"
    + b"\x8d\x04\x93\x1e\x0a\x3c\xfe\x33\x00\x00\x00\x34\x18\x00\x00"
    + b"\x02\x93\x79\x05\x00"
)
_GOOD = long_frame(0x08, 5, telegram(_ADDRESS, _RECORDS))
_SIZES = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, None, 6, None)


def target(data: bytes) -> None:
    """One input: two bytes choose what is looked at and the chunking, the rest is content."""
    choice, size = (data + b"\0\0")[:2]
    body = data[2:MAX_INPUT]
    look = choice & 7
    if look < 2:
        _stream(body, size)
    elif look < 5:
        _records(body, choice)
    elif look == 5:
        _master(body, choice, size)
    elif look == 6:
        _mutant(body)
    else:
        _telegram(body)


def seeds() -> list[bytes]:
    """Streams, records and answers to begin with."""
    found = [
        b"\x00\x00" + _GOOD,
        b"\x00\x05\xe5\x10\x40\x01\x41\x16\x00" + _GOOD[:30] + _GOOD,
        b"\x02\x00" + _RECORDS,
        b"\x0a\x00" + _RECORDS + b"\x0f\x01\x02\x2f\x2f",
        b"\x02\x00\x84\x80\x40\x83\x3c\x01\x00\x00\x00\x1f\x05",
        b"\x02\x00\x0d\xfd\x67\xe3abc\x0d\x03\xd2\x34\x12\x0d\x03\xf0" + bytes(16),
        b"\x02\x00\x06\x6d\x1e\x32\x17\x3f\x15\x00\x03\x6d\x1e\x32\x17\x02\x6c\xbf\x1c",
        b"\x06\x00\x20\x01",
        b"\x07\x00\x72" + _ADDRESS + bytes(4) + _RECORDS,
        b"\x07\x00\x73\x21\x43\x65\x87\x0b\x00\xe9\x7e\x42\x00\x00\x00\x78\x56\x00\x00",
        b"\x07\x00\x70\x08",
    ]
    for choice in (0x05, 0x45, 0x85, 0xC5):
        found.append(bytes((choice, 3)) + _GOOD)
    return found


def _stream(body: bytes, size: int) -> None:
    """Frames are where their bytes stand, checksums are good, and chunking changes nothing."""
    whole, counts = _events([body])
    step = size or 1
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    if "not fetched" not in counts:
        assert _events(pieces) == (whole, counts)
    end = 0
    for event in whole:
        kind, offset, length, data = event[:4]
        sent = body[offset : offset + length]
        assert len(sent) == length > 0
        if kind == mbus_frame.DISCARD:
            continue
        assert offset >= end
        end = offset + length
        if kind == mbus_frame.LONG:
            assert sent[0] == sent[3] == 0x68 and sent[1] == sent[2] == length - 6
            assert sum(sent[4:-2]) % 256 == sent[-2] and data == sent[6:-2]
            _telegram(data)


def _events(pieces: list[bytes]) -> tuple[list[Any], dict[str, int]]:
    receiver = mbus_frame.MbusReceiver()
    found: list[Any] = []

    def fetch() -> None:
        while (event := receiver.next_event()) is not None:
            place = (event.kind, event.offset, event.length)
            found.append((*place, event.data, event.control, event.address))

    for piece in pieces:
        receiver.feed(piece)
        fetch()
    receiver.finish()
    fetch()
    return found, receiver.discarded


def _telegram(data: bytes) -> None:
    """Whatever stands behind the CI field: a kind or a reason, never both."""
    found = mbus.MbusTelegram(data)
    assert found.error or found.kind is not None
    if found.error:
        return
    if found.kind == mbus.FIXED:
        assert len(mbus_fixed.counters(found)) == 2
    elif found.kind == mbus.RECORDS:
        for _ in _walk(found.records()):
            pass


def _walk(records: MbusRecords) -> Iterator[MbusRecords]:
    end = records.end
    while records.next():
        assert end <= records.at < records.vib <= records.data <= records.end
        assert set(records.buffer[end : records.at]) <= {0x2F}
        end = records.end
        records.rounded(-3)
        records.text()
        records.name()
        mbus_profile.read(records, records.raw())
        yield records


def _records(body: bytes, choice: int) -> None:
    """The device's cursor and the second walk read the same records."""
    records = MbusRecords(body, 0, len(body))
    records.padded = bool(choice & 8)
    ours = [(r.at, r.vib, r.data, r.end, _where(r), _number(r)) for r in _walk(records)]
    theirs, good = _second_walk(body, records.padded)
    assert ours == theirs, (ours, theirs)
    assert (records.error is None) == good, records.error


def _where(records: MbusRecords) -> tuple[int, ...]:
    return records.function, records.storage, records.tariff, records.device


def _number(records: MbusRecords) -> int | None:
    """The number as it stands in the data, without what VIFEs and reals make of it."""
    if records.kind in (mbus_codes.REAL, mbus_codes.TIME_POINT) or records._offset:
        return None
    return records.raw()


def _second_walk(body: bytes, padded: bool) -> tuple[list[Any], bool]:
    found: list[Any] = []
    at = 0
    while True:
        while body[at : at + 1] == b"\x2f":
            at += 1
        if at >= len(body):
            return found, True
        begin, dif = at, body[at]
        if dif & 15 == 15:
            if dif == 0xFF and not body[at:].strip(b"\xff"):
                return found, True
            end = len(body)
            if padded:
                end = max(at + 1, len(body.rstrip(b"\x2f")), len(body) - 15)
            found.append((begin, at + 1, at + 1, end, (0, 0, 0, 0), None))
            rest = body[end:]
            return found, not rest.strip(b"\x2f")
        difes = _chain(body, at, dif)
        vib = at + 1 + len(difes)
        end_of_vib = _vib_end(body, vib) if len(difes) <= 10 else None
        if end_of_vib is None:
            return found, False
        field = _field(body, end_of_vib, dif & 15)
        if field is None or field[0] + field[1] > len(body):
            return found, False
        data, size, number = field
        where = _where_of(dif, difes)
        absent = number is None or _voided(body[vib:end_of_vib], dif & 15, size)
        value = None if absent else number(body[data : data + size])
        at = data + size
        found.append((begin, vib, end_of_vib, at, where, value))


def _chain(body: bytes, at: int, byte: int) -> bytes:
    """The bytes behind `at` as long as the one before says that there is one."""
    begin = at + 1
    while byte & 0x80 and at + 1 < len(body):
        at += 1
        byte = body[at]
    return body[begin : at + 1]


def _where_of(dif: int, difes: bytes) -> tuple[int, ...]:
    storage, tariff, device = dif >> 6 & 1, 0, 0
    for place, dife in enumerate(difes):
        storage += (dife & 15) << (4 * place + 1)
        tariff += (dife >> 4 & 3) << (2 * place)
        device += (dife >> 6 & 1) << place
    return dif >> 4 & 3, storage, tariff, device


def _vib_end(body: bytes, at: int) -> int | None:
    """Where the value information ends; None where it does not."""
    if at >= len(body):
        return None
    vif = body[at]
    more = vif & 0x80
    at += 1
    if vif & 0x7F == 0x7C:
        at += 1 + (body[at] if at < len(body) else 256)
        if at > len(body):
            return None
    elif vif in (0xFB, 0xFD):
        at += vif == 0xFD and body[at : at + 1] == b"\xfd"
        if at >= len(body):
            return None
        more = body[at] & 0x80
        at += 1
    if not more:
        return at
    vifes = _chain(body, at - 1, 0x80)
    whole = vifes and not vifes[-1] & 0x80 and len(vifes) <= 10
    return at + len(vifes) if whole else None


def _field(body: bytes, at: int, coding: int) -> tuple[int, int, Any] | None:
    """Place, size and reader of the data; None where its length makes no sense."""
    if coding != 13:
        reader = _signed if 1 <= coding <= 7 and coding != 5 else _decimal if coding > 8 else None
        return at, _SIZES[coding] or 0, reader
    if at >= len(body):
        return None
    length = body[at]
    if length < 0xC0:
        return at + 1, length, None
    if 0xC0 <= length <= 0xC9:
        return at + 1, length & 15, _decimal
    if 0xD0 <= length <= 0xD9:
        return at + 1, length & 15, _negative
    sizes = {0xE0 + n: n for n in range(16)} | {0xF0: 16, 0xF1: 20, 0xF2: 24, 0xF3: 28, 0xF4: 32}
    size = (sizes | {0xF5: 48, 0xF6: 64}).get(length)
    return None if size is None else (at + 1, size, None)


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def _decimal(data: bytes) -> int | None:
    digits = data[::-1].hex()
    sign = digits[:1] == "f"
    digits = digits[sign:] or "0"
    return None if not digits.isdigit() else -int(digits) if sign else int(digits)


def _negative(data: bytes) -> int | None:
    number = _decimal(data)
    return None if number is None else -number


def _voided(vib: bytes, coding: int, size: int) -> bool:
    """Whether the device does not take the data for a plain number: a date, or moved by a VIFE."""
    body = b"\x04" + vib
    records = MbusRecords(body + bytes(70), 0, len(body) + 70)
    records.next()
    date = (
        records.unit == mbus_codes.POINT and coding in (1, 2, 3, 4, 6, 7) and size in (2, 3, 4, 6)
    )
    if date:
        odd = records.quantity == mbus_codes.DATE and size != 2
        date = not (odd or records.quantity == mbus_codes.DATE_TIME and size == 2)
    return date or bool(records._offset)


def _master(body: bytes, choice: int, size: int) -> None:
    """Any answer: the request ends once, with data of a whole frame alone; the next one works."""
    master = mbus_master.MbusMaster()
    if choice & 0x40:
        master.reset(5)
    elif choice & 0x80:
        master.select(_ADDRESS)
    else:
        master.request(5)
    step = size or 1
    for at in range(0, len(body), step):
        before = master.status
        status = master.feed(body[at : at + step])
        assert status in (mbus_master.PENDING, mbus_master.DONE)
        assert before == mbus_master.PENDING or status == before
    assert master.silence() in (mbus_master.DONE, mbus_master.FAILED)
    assert (master.error == 0) == (master.status == mbus_master.DONE)
    if master.status == mbus_master.DONE and master.frame is not None:
        assert master.frame.data in body and master.frame.address == 5
    master.reset(5)
    assert master.feed(b"\xe5") == mbus_master.DONE
    master.request(5)
    assert master.feed(_GOOD) == mbus_master.DONE and master.frame.data == _GOOD[6:-2]


def _mutant(body: bytes) -> None:
    """A frame with one changed byte never gives other data."""
    bad = bytearray(_GOOD)
    for place, change in zip(body[:1], body[1:2]):
        bad[place % len(bad)] ^= change
    for event in _events([bytes(bad)])[0]:
        assert event[0] != mbus_frame.LONG or event[3] == _GOOD[6:-2]
