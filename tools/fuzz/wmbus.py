"""Fuzz target of the wireless M-Bus cores: link formats, layers, sealed telegrams, fragments.

A breach is an AssertionError, anything else that escapes is one too. Sealing is done here with
`cryptography`, never with the code under test.
"""

from typing import Any

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from clsbench.meters import wmbus_document
from clsbench.meters.aes import Aes
from dicamm.proto.mbus import MbusTelegram
from dicamm.proto.wmbus import FRAGMENT, WmbusTelegram
from dicamm.proto.wmbus_compact import CompactFormats
from dicamm.proto.wmbus_counters import Counters
from dicamm.proto.wmbus_fragments import MAX_BEGUN, MAX_MESSAGE, Fragments
from dicamm.proto.wmbus_link import FORMAT_A, FORMAT_B, STRIPPED, frame_a, frame_b, read_link

MAX_INPUT = 400
CORES = [
    *("dicamm.proto.wmbus", "dicamm.proto.wmbus_link", "dicamm.proto.wmbus_security"),
    *("dicamm.proto.wmbus_compact", "dicamm.proto.wmbus_fragments", "dicamm.proto.aes_cmac"),
    *("dicamm.proto.wmbus_counters", "dicamm.proto.mbus"),
]
_KEY = bytes(range(16))
_HEAD = bytes.fromhex("44 9315 78563412 33 03")  # C, M, A
_COUNTER = 0x0AB3
_RECORDS = bytes.fromhex("0c14 27048502 0413 31d40000 02fd17 0000")
_NUMBERS = [2850427, 54321, 0]
_COMPACT = bytes.fromhex(
    "79 eda8"
)  # and checksum and data of the format 02ff20 0413 4413 615b 6167
_FULL = bytes.fromhex("78 02ff20 7100 0413 08190000 4413 08190000 615b 7f 6167 13")


def target(data: bytes) -> None:
    """One input: two bytes choose what is looked at, the rest is content."""
    choice, detail = (data + b"\0\0")[:2]
    body = data[2:MAX_INPUT]
    look = choice & 7
    if look == 0:
        _receiver_bytes(body, detail)
    elif look < 3:
        _layers(body, detail)
    elif look == 3:
        _formats(body, detail)
    elif look == 4:
        _sealed_mutant(body, detail)
    elif look == 5:
        _fragments(body, detail)
    elif look == 6:
        _sealed_content(body, detail)
    else:
        _compact(body, detail)


def seeds() -> list[bytes]:
    """Telegrams and layers to begin with."""
    sealed = _telegram(_profile_b(_RECORDS, _COUNTER))
    clear = _HEAD + b"\x7a\x2a\x00\x00\x00" + _RECORDS
    found = [b"\x00\x00" + _telegram(clear), b"\x00\x00" + frame_a(sealed) + frame_b(sealed)]
    found += [b"\x01\x01" + _profile_b(_RECORDS, _COUNTER)[9:], b"\x01\x00" + clear[9:]]
    found += [b"\x02\x01" + bytes.fromhex(text) for text in _LAYERS]
    found += [bytes((look, 0)) + clear for look in (3, 6)]
    found += [bytes((4, 20)) + b"\x04", bytes((4, 0)), b"\x07\x00" + _FULL, b"\x07\x01\x00\x00"]
    found += [b"\x05\x00\x01\x02\x03", b"\x05\x03\x01\x01\x02\x09\x03\x01\x02\x03\x04\x05"]
    return found


_LAYERS = (
    "8d 20 75 94df7900 0000 78 0c14 27048502",
    "8e 20 75 2440 21436587 01 07 78 0c14 27048502",
    "8f 20 75 2440 21436587 01 07 94df7920 0000 78",
    "90 0f 002c 25 b30a0000 21924d4f2fb66e01 7a 75 00 2007 10 2f2f",
    "90 02 0140 78 0c14 27048502",
    "72 21436587 2440 01 07 2a 00 1005 2f2f 0c14 27048502 2f2f2f2f2f2f2f2f",
    "7a 2a 00 100a" + "00" * 16,
    "70 08",
    "7b 2a 00 0000 eda8 0000 7100 08190000",
)


def _telegram(body: bytes) -> bytes:
    return bytes((len(body),)) + body


def _cmac(key: bytes, data: bytes) -> bytes:
    code = CMAC(AES(key))
    code.update(data)
    return code.finalize()


def _derived(use: int, counter: int) -> bytes:
    return _cmac(_KEY, bytes([use]) + counter.to_bytes(4, "little") + _HEAD[3:7] + b"\x07" * 7)


def _message(records: bytes, counter: int) -> bytes:
    """From the transport layer's CI field on, mode 7."""
    plain = b"\x2f\x2f" + records
    plain += b"\x2f" * (-len(plain) % 16)
    sealed = Aes().encrypt_cbc(_derived(0, counter), bytes(16), plain)
    return (
        b"\x7a\x75\x00" + (0x0700 | len(plain) // 16 << 4).to_bytes(2, "little") + b"\x10" + sealed
    )


def _profile_b(records: bytes, counter: int) -> bytes:
    """A telegram without its length field."""
    message, number = _message(records, counter), counter.to_bytes(4, "little")
    code = _cmac(_derived(1, counter), b"\x25" + number + message)[:8]
    return _HEAD + b"\x90\x0f\x00\x2c\x25" + number + code + message


def _opened(data: bytes, key: bytes | None, form: str | None = None, **more: Any) -> Any:
    link, reason = read_link(data, form)
    assert (link is None) == (reason is not None)
    return None if link is None else WmbusTelegram(link, Aes(), key, **more)


def _numbers(found: Any) -> list[int | None] | None:
    records = None if found is None else found.records()
    if records is None:
        return None
    out = []
    while records.next():
        out.append(records.raw())
    return None if records.error else out


def _receiver_bytes(body: bytes, detail: int) -> None:
    """Any bytes: every one belongs to a telegram or to what is told broken."""
    document = wmbus_document.document([body], _KEY if detail & 1 else None)
    assert sum(frame["length"] for frame in document["frames"]) == len(body)
    assert all(frame["valid"] == (frame["error"] is None) for frame in document["frames"])


def _layers(body: bytes, detail: int) -> None:
    """Any layers, keyed or not: a reading or a reason; clear data never pass for sealed."""
    data = _telegram((_HEAD + (body or b"\x78"))[:255])
    key = _KEY if detail & 1 else None
    more = {"fragments": Fragments(), "formats": CompactFormats(), "counters": Counters()}
    found = _opened(data, key, STRIPPED, accept_clear=bool(detail & 2), **more)
    if found.error is None and key and not detail & 2:
        assert found.mode in (5, 7) or found._encrypted
    if found.authentic and not found.error:
        assert found.counter is not None and found.mode == 7
        assert more["counters"].last(found.address) == found.counter
    _numbers(found)


def _formats(body: bytes, detail: int) -> None:
    """Both formats carry anything; one flipped bit of format A is seen."""
    plain = _telegram((_HEAD + b"\x78" + body)[:250])
    for build, form in ((frame_a, FORMAT_A), (frame_b, FORMAT_B)):
        data = build(plain)
        link, reason = read_link(data + b"tail", form)
        assert reason is None and link.length == len(data) and link.payload == plain[10:]
        bad = bytearray(data)
        place = 1 + detail % (len(bad) - 1)
        bad[place] ^= 1 << detail % 8
        assert read_link(bytes(bad), form) == (None, "crc")


def _sealed_mutant(body: bytes, detail: int) -> None:
    """A changed telegram is refused or reads the same; unchanged it is read once."""
    data = bytearray(_telegram(_profile_b(_RECORDS, _COUNTER)))
    for place, change in enumerate(body[:4]):
        data[10 + (detail + 7 * place) % (len(data) - 10)] ^= change
    counters = Counters()
    found = _opened(bytes(data), _KEY, STRIPPED, counters=counters)
    if data[10:] == _profile_b(_RECORDS, _COUNTER)[9:]:
        assert _numbers(found)[:3] == _NUMBERS and found.authentic
        again = _opened(bytes(data), _KEY, STRIPPED, counters=counters)
        assert again.error == "counter" and again.records() is None
    else:
        read = _numbers(found)  # bits kept for later in the layer's flags change nothing
        assert read is None if found.error else read[:3] == _NUMBERS and found.authentic
        assert counters.plain() in ([], [(_HEAD[1:], _COUNTER)])


def _fragments(body: bytes, detail: int) -> None:
    """Fragments in any order: a message comes out whole, once and unchanged, or not at all."""
    records = _RECORDS + bytes(2)
    message, number = _message(records, _COUNTER), _COUNTER.to_bytes(4, "little")
    told = len(message).to_bytes(2, "little")
    code = _cmac(_derived(1, _COUNTER), b"\x25" + number + told + message)[:8]
    count = 2 + detail % 4
    step = len(message) // count
    pieces = []
    for place in range(count):
        last = place == count - 1
        layer = (b"\x25" + number if place == 0 else b"") + (code if last else b"")
        layer += told if place == 0 else b""
        flags = (0x38 if place == 0 else 0) | (0x04 if last else 0x40)
        part = message[place * step : None if last else (place + 1) * step]
        head = bytes((0x90, 2 + len(layer), place + 1, flags))
        pieces.append(_telegram(_HEAD + head + layer + part))
    store, counters = Fragments(), Counters()
    whole = 0
    for byte in body[:40]:
        found = _opened(pieces[byte % count], _KEY, STRIPPED, counters=counters, fragments=store)
        if found.error is None:
            whole += 1
            assert _numbers(found)[:3] == _NUMBERS and byte % count == count - 1
        assert found.error in (None, FRAGMENT, "counter")
        assert len(store._begun) <= MAX_BEGUN
        assert all(len(begun[2].message) <= MAX_MESSAGE for begun in store._begun)
    assert whole <= 1


def _sealed_content(body: bytes, detail: int) -> None:
    """Anything under a good code is walked; its counter is kept."""
    counter = _COUNTER + detail
    counters = Counters([(_HEAD[1:], _COUNTER)])
    data = _telegram(_profile_b(body[:180], counter))
    found = _opened(data, _KEY, STRIPPED, counters=counters)
    assert found.authentic and (found.error == "counter") == (detail == 0)
    assert detail == 0 or counters.last(_HEAD[1:]) == counter
    _numbers(found)


def _compact(body: bytes, detail: int) -> None:
    """Formats learned and compact frames: the checksum over the full frame decides."""
    formats = CompactFormats()
    if detail & 1:
        formats.learn(MbusTelegram(b"\x78" + body))
    data = _COMPACT + body if detail & 2 else b"\x79" + body
    full = formats.expand(data)
    if full is not None:
        assert full[0] == 0x78 and len(full) > len(data) - 5
    learned = MbusTelegram(_FULL)
    formats.learn(learned)
    assert formats.expand(b"\x7b" + body[:3]) is None
