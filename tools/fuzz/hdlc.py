"""Fuzz target of HDLC on the wired LMN: any bytes, any chunking, two stations on a bad line.

The receiver sees streams of good, spoiled and made-up frames beside a slow reader that tries every
place; the stations talk while frames get lost, come twice or are invented. What must hold is
stated by the functions behind `target`; a breach is an AssertionError, anything else that escapes
is one too.
"""

from typing import Any

from clsbench.meters.sml_second_reader import crc16_x25
from dicamm.proto import hdlc, hdlc_station
from dicamm.proto.hdlc import HdlcFrame, HdlcReceiver, encode

MAX_INPUT = 400
CORES = ["dicamm.proto.hdlc", "dicamm.proto.hdlc_station"]
_GATEWAY, _METER = (1, 1), (2, 1)
_LIMITS = (2034, 2034, 16, 64)
_KINDS = (
    hdlc.SNRM, hdlc.UA, hdlc.DISC, hdlc.DM, hdlc.FRMR, hdlc.UI, hdlc.RR, hdlc.RNR, hdlc.REJ,
    hdlc.INFORMATION,
)  # fmt: skip


def target(data: bytes) -> None:
    """One input: two bytes choose what to do and how to cut, the rest is bytes or a script."""
    choice, step = (data + b"\0\0")[:2]
    body = data[2:MAX_INPUT]
    if choice & 7 == 7:
        _no_other_frame_than_the_sent_one(step, body)
    elif choice & 7 == 6:
        _stations_survive_anything(body)
    elif choice & 7 == 5:
        _messages_arrive_once_and_in_order(body)
    else:
        stream = body if choice & 1 else _frames_and_noise(body)
        _read_as_by_trying_every_place(stream, step, _LIMITS[choice >> 6])


def seeds() -> list[bytes]:
    """Streams and scripts to begin with."""
    snrm = encode(HdlcFrame(_METER, _GATEWAY, hdlc.SNRM | hdlc.FINAL))
    told = encode(HdlcFrame(_GATEWAY, _METER, 0x30, b"\x7e\xa0\x09 reading \x7e" * 3, True))
    return [
        b"\x01\x00" + snrm + told[1:] + b"\x7e\x7e" + snrm,
        b"\x01\x03noise" + told[:20] + told + told[:-1],
        b"\x41\x00" + told,
        b"\x81\x01" + told + snrm,
        b"\x00\x00" + bytes(range(60)) * 2,
        b"\x05\x00" + bytes(range(64)),
        b"\x06\x00" + bytes(range(0, 250, 5)),
        b"\x07\x09\x11\x22hello \x7e hello",
    ]


def _frames_and_noise(script: bytes) -> bytes:
    """Good frames, some of them spoiled, with bytes between them, as `script` tells."""
    out = bytearray()
    rest = script
    while len(rest) > 6:
        kind, upper, lower, size, spoiled = rest[:5]
        info, rest = rest[5 : 5 + size % 48], rest[5 + size % 48 :]
        addresses = (upper & 127, 1), (lower & 127, upper >> 7)
        frame = bytearray(encode(HdlcFrame(*addresses, kind, info, size > 191)))
        if spoiled & 3 == 1:
            frame[spoiled % len(frame)] ^= 1 << (spoiled >> 5)
        elif spoiled & 3 == 2:
            del frame[spoiled % len(frame) :]
        if spoiled & 4 and frame and out[-1:] == b"~":
            del frame[0]  # one flag between two frames
        out += frame
        if spoiled & 8:
            out += info[:9]
    return bytes(out + rest)


def _told(stream: bytes, step: int, limit: int) -> tuple[list[Any], dict[str, int]]:
    receiver = HdlcReceiver(limit)
    found: list[Any] = []

    def fetch() -> None:
        while (event := receiver.next_event()) is not None:
            shown = vars(event.data) if event.kind == hdlc.FRAME else event.data
            found.append((event.kind, event.offset, event.length, shown))

    step = step or len(stream) or 1
    for at in range(0, len(stream), step):
        receiver.feed(stream[at : at + step])
        fetch()
    receiver.finish()
    fetch()
    return found, receiver.discarded


def _read_as_by_trying_every_place(stream: bytes, step: int, limit: int) -> None:
    found, discarded = _told(stream, step, limit)
    assert found == _told(stream, 1, limit)[0] or discarded.get("not fetched"), found
    frames = [entry[1:] for entry in found if entry[0] == hdlc.FRAME]
    wanted = _frames_by_trying(stream, limit)
    assert frames == wanted or discarded.get("not fetched"), (frames, wanted)
    for offset, length, shown in frames:
        sent = stream[offset : offset + length]
        assert encode(HdlcFrame(**shown)) == sent, (shown, sent)
    assert sum(discarded.values()) >= len(found) - len(frames)


def _frames_by_trying(stream: bytes, limit: int) -> list[Any]:
    found = []
    at = 0
    while at < len(stream):
        frame = _frame_at(stream, at, limit)
        if frame is None:
            at += 1
            continue
        found.append((at, frame[0], frame[1]))
        at += frame[0] - 1  # its last flag may be the first one of the next
    return found


def _frame_at(stream: bytes, at: int, limit: int) -> tuple[int, dict[str, Any]] | None:
    if stream[at] != 0x7E or len(stream) < at + 11 or stream[at + 1] >> 4 != 10:
        return None
    size = (stream[at + 1] & 7) << 8 | stream[at + 2]
    inside = stream[at + 1 : at + 1 + size]
    if size < 9 or size > limit + 11 or stream[at + 1 + size : at + 2 + size] != b"\x7e":
        return None
    if not _checked(inside) or (size > 9 and (size < 12 or not _checked(inside[:9]))):
        return None
    if [byte & 1 for byte in inside[2:6]] != [0, 1, 0, 1]:
        return None
    addresses = [byte >> 1 for byte in inside[2:6]]
    return size + 2, {
        "destination": (addresses[0], addresses[1]),
        "source": (addresses[2], addresses[3]),
        "control": inside[6],
        "segmented": bool(inside[0] & 8),
        "information": inside[9:-2] if size > 9 else b"",
    }


def _checked(data: bytes) -> bool:
    return crc16_x25(data[:-2]).to_bytes(2, "little") == data[-2:]


def _no_other_frame_than_the_sent_one(control: int, body: bytes) -> None:
    """Up to three bits changed: a checksum over these lengths tells them (Koopman 2004)."""
    flips, info = body[:3], body[3:]
    sent = HdlcFrame(_GATEWAY, _METER, control, info)
    bad = bytearray(encode(sent))
    for number, flip in enumerate(flips):
        place = (flip * 8 + number * 3 + flip // 8) % (8 * len(bad))
        bad[place // 8] ^= 1 << place % 8
    head, tail = bad[0] == 0x7E, bad[-1] == 0x7E
    for kind, at, length, shown in _told(bytes(bad), 0, 2034)[0]:
        if kind == hdlc.FRAME and head and tail and (at, length) == (0, len(bad)):
            assert shown == vars(sent), shown


def _stations_survive_anything(script: bytes) -> None:
    """Frames of any kind to both; what they send can be encoded, and a poll is answered."""
    primary = hdlc_station.HdlcPrimary(_GATEWAY, _METER)
    secondary = hdlc_station.HdlcSecondary(_METER, _GATEWAY)
    primary.connect()
    for at in range(0, len(script) - 1, 2):
        does, control = script[at : at + 2]
        info = script[at : at + 1 + does % 5]
        kind = _KINDS[does % len(_KINDS)] | control & 0xF0 if does & 16 else control
        frame = HdlcFrame(_METER, _GATEWAY, kind, info)
        back = HdlcFrame(_GATEWAY, _METER, kind, info)
        if does & 32:
            secondary.receive(frame)
            if does & 64 and not secondary.waiting:
                secondary.give(info)
            answer = secondary.answer()
            assert (answer is not None) == frame.final
            if answer is not None:
                encode(answer)
                assert answer.destination == _GATEWAY and answer.final
        else:
            primary.receive(back)
            if primary.connected and not primary.waiting and does & 64:
                encode(primary.send(info))
            elif primary.connected:
                encode(primary.poll())
            elif does & 128:
                encode(primary.connect())
        if does == 255:
            primary.timeout()


def _messages_arrive_once_and_in_order(fates: bytes) -> None:
    """Frames get lost or come twice, each told by two bits; nothing is invented."""
    primary = hdlc_station.HdlcPrimary(_GATEWAY, _METER, tries=1000)
    secondary = hdlc_station.HdlcSecondary(_METER, _GATEWAY)
    secondary.receive(primary.connect())
    assert primary.receive(secondary.answer()) == hdlc_station.CONNECTED
    asked, heard, answers = 0, [], []
    command = primary.send(b"q0")
    for fate in [*fates, 0, 0]:
        if fate & 3 == 1:
            command = primary.timeout()
            continue
        news = secondary.receive(_over_the_line(command))
        if news == hdlc_station.DATA:
            heard.append(secondary.information)
            if not secondary.waiting:
                secondary.give(b"a" + secondary.information)
        reply = secondary.answer()
        if fate & 3 == 2:
            command = primary.timeout()
            continue
        for _ in range(1 + (fate & 3 == 3)):
            if primary.receive(_over_the_line(reply)) == hdlc_station.DATA:
                answers.append(primary.information)
        if primary.waiting:
            command = primary.poll()
        else:
            asked += 1
            command = primary.send(b"q%d" % asked)
    assert heard == [b"q%d" % number for number in range(len(heard))], heard
    assert answers == [b"a" + question for question in heard][: len(answers)], answers
    assert len(heard) >= asked and len(heard) - len(answers) <= 1


def _over_the_line(frame: Any) -> Any:
    receiver = HdlcReceiver()
    receiver.feed(encode(frame))
    event = receiver.next_event()
    assert event is not None and event.kind == hdlc.FRAME
    return event.data
