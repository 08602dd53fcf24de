"""Fuzz target of the SML readers: any bytes, any chunking, strange lists under good checksums.

The receiver in plain Python, the same with the machine-code loops run as Python (every access
bounded), the second reader of the host, D0 and the diagnosis all see the same stream. What must
hold is stated by the functions behind `target`; a breach is an AssertionError, anything else
that escapes is one too.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clsbench.meters import sml_document
from clsbench.meters.sml_encode import frame, message, octets, telegram
from clsbench.meters.sml_second_reader import crc16_kermit, crc16_x25, frames
from dicamm.proto import d0, sml, sml_state
from dicamm.proto.sml_diagnosis import LineDiagnosis

sys.path.insert(0, str(Path(__file__).parent))
viper = importlib.reload(importlib.import_module("viper_on_cpython"))
importlib.reload(sml_document)  # with the cores as they are now: it knows their classes

MAX_INPUT = 700
CORES = [
    *("dicamm.proto.sml", "dicamm.proto.sml_transport", "dicamm.proto.sml_bytecode"),
    *("dicamm.proto.sml_message", "dicamm.proto.sml_elements", "dicamm.proto.sml_bodies"),
    *("dicamm.proto.sml_pool", "dicamm.proto.sml_quirks", "dicamm.proto.sml_entry"),
    *("dicamm.proto.sml_diagnosis", "dicamm.proto.d0"),
]
_TAGS = (0x0701, 0x0101, 0x0201, 0x0301, 0x0401, 0x0501, 0xFF01, 0x0500)
_SERVER = bytes.fromhex("0a01445a47000280de80")  # DZG, of a series that sends power wrong
_IMPORT, _POWER = b"\x01\x00\x01\x08\x00\xff", b"\x01\x00\x10\x07\x00\xff"
_GOOD = telegram(
    _SERVER,
    [
        (b"\x01\x00\x60\x01\x00\xff", _SERVER, None, None, None),
        (_IMPORT, 2**33 + 5, -1, 30, 0x182),
        (_POWER, -46, 0, 27, None),
        (b"\x01\x00\x00\x00\x09\xff", b"\x1b" * 9, None, None, None),
        (b"\x01\x00\x02\x08\x00\xff", None, -4, 30, None),
    ],
    4711,
)
_machine = viper.sml_module()


def target(data: bytes) -> None:
    """One input: three bytes choose form, chunking and what to look at, the rest is a stream or
    what is in one."""
    choice, first, second = (data + b"\0\0\0")[:3]
    body = data[3:MAX_INPUT]
    look = choice >> 5
    if look == 7:
        _no_value_but_the_sent_ones(_KNOWN[choice % len(_KNOWN)], first, second, body)
        return
    stream = _stream(choice, first, body)
    pieces = list(_pieces(stream, second))
    if look == 6:
        _others_take_anything(pieces)
        return
    plain = _told(sml.SmlReceiver(), pieces)
    if look < 4:
        _same_as_machine_code(plain, pieces, choice)
    else:
        _same_as_in_one_piece(plain, stream)
        _same_as_second_reader(plain[0], stream)


def seeds() -> list[bytes]:
    """Streams and bodies to begin with."""
    payload = _GOOD[8:-8].replace(b"\x1b" * 8, b"\x1b" * 4)
    at = payload.index(b"\x72\x63\x07\x01") + 4
    fields = payload[at : payload.rindex(b"\x76", 0, len(payload) - 8)][:-4]
    found = [
        b"\x00\x00\x00" + _GOOD,
        b"\x00\x00\x07\x00noise" + _GOOD[:60] + _GOOD,
        b"\x01\x00\x40" + payload,
        b"\x02\x00\x20" + fields,
        b"\x06\x00\x20" + fields,
        b"\xc0\x00\x09/EMH4x\r\n\r\n1-0:1.8.0*255(012345.6789*kWh)\r\n!\r\n",
    ]
    for look in (0x80, 0xC0, 0xE0):
        found += [bytes((look, 0, 33)) + _GOOD, bytes((look | 2, 0, 0)) + fields]
    found += [b"\x02" + body for body in _BODIES]
    found += [b"\x00\x00\x00" + data for data in _REAL]
    return found


_BODIES = (
    b"\x06\x00\x74\x04abc\x07\x81\x81\xc7\xc7\xfe\x02\x04abc\x01",
    b"\x05\x00\x73\x04abc\x71\x07\x01\x00\x01\x08\x00\xff\x73\x07\x01\x00\x01\x08\x00"
    b"\xff\x72\x62\x01\x52\x07\x71\x73\x02a\x01\x01",
    bytes.fromhex(
        "0300 78 0361 62 72620165 00001000 630384 71 0361 62"
        "71 73 070100010800ff 621e 52ff 71 74 72620265671b5f7c 6280 71 72 5207 01 01 01 01"
    ),
    bytes.fromhex(
        "0400 79 036162 72620265671b6300 630384 71 036162 72620265671b5f7c 6280 71"
        "75 070100010800ff 621e 52ff 5207 01 01 01"
    ),
)


def _stream(choice: int, first: int, body: bytes) -> bytes:
    form = choice & 3
    if form == 0:
        return body
    if form == 2:  # the fields of one message
        body = message(octets(b"1"), _TAGS[first % len(_TAGS)], body)
    elif form == 3:  # messages whose own checksums are made good where they can be found
        body = _sealed(body)
    data = frame(body)
    if choice & 4:
        data = data[:-2] + crc16_kermit(data[:-2]).to_bytes(2, "big")
    return data


def _sealed(body: bytes) -> bytes:
    """Behind every `63 xx xx 00` the bytes since the last one are taken for a message."""
    out, begin = bytearray(), 0
    at = body.find(b"\x63")
    while at >= 0:
        if body[at + 3 : at + 4] == b"\0":
            head = body[begin:at]
            out += head + b"\x63" + crc16_x25(head).to_bytes(2, "little") + b"\0"
            begin = at + 4
        at = body.find(b"\x63", max(begin, at + 1))
    return bytes(out + body[begin:])


def _pieces(stream: bytes, size: int) -> Iterator[bytes]:
    step = size or len(stream) or 1
    return (stream[at : at + step] for at in range(0, len(stream), step))


def _told(receiver: Any, pieces: list[bytes]) -> tuple[list[Any], dict[str, int]]:
    found: list[Any] = []

    def fetch() -> None:
        while (event := receiver.next_event()) is not None:
            shown = event.data
            if event.kind == sml.FRAME:
                shown = sml_document.frame_document(event.data)
                shown["open"] = _fields(event.data.opened())
                shown["close"] = _fields(event.data.closed())
            found.append((event.kind, event.offset, event.length, shown))

    for piece in pieces:
        receiver.feed(piece)
        fetch()
    receiver.finish()
    fetch()
    return found, receiver.discarded


def _fields(body: Any) -> Any:
    return None if body is None else {**vars(body)}


def _same_as_in_one_piece(plain: tuple[list[Any], Any], stream: bytes) -> None:
    whole = _told(sml.SmlReceiver(), [stream])
    assert whole == plain or whole[1].get("not fetched"), (whole, plain)


def _same_as_machine_code(plain: tuple[list[Any], Any], pieces: list[bytes], choice: int) -> None:
    receiver = _machine.SmlReceiver()
    if choice & 8:
        receiver._state[sml_state.WORD] = 4
    if choice & 16:
        receiver.feed(_GOOD)  # objects of another telegram are there
        while receiver.next_event():
            pass
        before = len(_GOOD)
    else:
        before = 0
    found, discarded = _told(receiver, pieces)
    moved = [(kind, at - before, size, _moved(shown, before)) for kind, at, size, shown in found]
    assert (moved, discarded) == plain, (moved, plain)


def _moved(shown: Any, before: int) -> Any:
    return {**shown, "offset": shown["offset"] - before} if isinstance(shown, dict) else shown


def _same_as_second_reader(found: list[Any], stream: bytes) -> None:
    """Whatever both call a good telegram without refusing any of it, they read alike.

    The second reader refuses types of elements that the standard keeps for later; the device's
    passes over them where their value is of no use to it.
    """
    others = {item["offset"]: item for item in frames(stream)}
    refused = {at for kind, at, _, _ in found if kind == sml.DISCARD}
    for kind, at, length, shown in found:
        other = others.get(at)
        if kind != sml.FRAME or other is None or at in refused or other["length"] != length:
            continue
        if not other["entries"]:
            continue
        ours = [_numbers(entry) for entry in shown["entries"]]
        theirs = [_numbers(entry) for entry in other["entries"]]
        assert ours == theirs, (ours, theirs)


def _numbers(entry: dict[str, Any]) -> tuple[Any, ...]:
    keys = ("raw", "raw_sent", "scaler", "unit", "status", "val_time")
    return tuple(_plain({**entry, "scaler": entry["scaler"] or 0}[key]) for key in keys)


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def _no_value_but_the_sent_ones(
    known: tuple[bytes, list[Any]], first: int, second: int, body: bytes
) -> None:
    """A telegram with changed bytes, its checksums left alone, is refused or reads the same."""
    good, entries = known
    bad = bytearray(good)
    bad[first * 3 % len(bad)] ^= second
    for at in range(0, min(len(body), 8) - 1, 2):
        bad[body[at] * 3 % len(bad)] ^= body[at + 1]
    for receiver in (sml.SmlReceiver(), _machine.SmlReceiver()):
        for kind, _, _, shown in _told(receiver, [bytes(bad)])[0]:
            if kind == sml.FRAME:
                assert shown["entries"] in ([], entries), shown["entries"]


def _real_telegrams() -> list[bytes]:
    """One telegram of each real meter, where the folder of captures is there."""
    folder = os.environ.get("CLSBENCH_CORPUS", Path(__file__).parents[3] / "shared" / "corpus")
    found = []
    for path in sorted((Path(folder) / "sml").glob("*.bin")):
        capture = path.read_bytes()
        cut = [item for item in frames(capture) if item["length"] < MAX_INPUT - 3][:1]
        found += [capture[item["offset"] :][: item["length"]] for item in cut]
    return found


_REAL = _real_telegrams()
_KNOWN = [
    (data, _told(sml.SmlReceiver(), [data])[0][-1][3]["entries"]) for data in [_GOOD, *_REAL]
]


def _others_take_anything(pieces: list[bytes]) -> None:
    diagnosis, text = LineDiagnosis(), d0.D0Receiver()
    for piece in pieces:
        diagnosis.feed(piece)
        text.feed(piece)
    diagnosis.finish()
    text.finish()
    assert all(number >= 0 for _, number in diagnosis.findings())
    while (event := text.next_event()) is not None:
        if event.kind == d0.READOUT:
            sml_document.readout_document(event.data)
