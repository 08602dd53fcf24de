"""The CLS channel: the bench link's messages to and from the aEMT, sealed end to end.

Each message travels in an envelope (a CBOR byte string) as COSE_Mac0 over [number, message],
with a key for each direction that both sides' nonces make of the device's key. What was altered,
left out or repeated ends the channel. What an aEMT may ask is the box's own to say. Opens
nothing: a stream is given. Rules: `docs/cls-channel.md`, bytes: `docs/wire.cddl`.
"""

from dicamm import codes
from dicamm.control.command import Answer
from dicamm.link.bench import ACKNOWLEDGE, RECORD, RECORDS, BenchLink
from dicamm.proto import cbor
from dicamm.proto.cose import HmacSha256, Mac0

DEVICE_OPEN = 15
EMT_OPEN = 16
VERSION = 1
NONCE = 16  # bytes
MAX_MESSAGE = 1024
AT_ONCE = 6  # records sent before an acknowledgement is waited for


def envelope(content):
    """`content` as it travels."""
    return cbor.encode(content)


async def receive(stream):
    """The content of the next envelope. Raises ValueError for what is none, EOFError."""
    first = (await stream.readexactly(1))[0]
    if 0x40 <= first < 0x58:
        size = first - 0x40
    elif first == 0x58:
        size = (await stream.readexactly(1))[0]
    elif first == 0x59:
        size = int.from_bytes(await stream.readexactly(2), "big")
    else:
        raise ValueError("no envelope")
    if size > MAX_MESSAGE:
        raise ValueError("envelope too long")
    return await stream.readexactly(size)


def opening(cls_id, nonce):
    """The box's first message."""
    return cbor.encode({0: DEVICE_OPEN, 1: VERSION, 2: cls_id, 3: nonce})


def nonce_of(content):
    """The nonce in the aEMT's first message. Raises ValueError."""
    message = cbor.decode(content)
    nonce = message.get(3) if isinstance(message, dict) else None
    if not isinstance(nonce, bytes) or len(nonce) != NONCE:
        raise ValueError("no opening")
    if message.get(0) != EMT_OPEN or message.get(1) != VERSION:
        raise ValueError("no opening of this version")
    return nonce


class Seals:
    """key: the device's; own, theirs: nonces of this connection (HKDF, RFC 5869)."""

    def __init__(self, key, cls_id, own, theirs):
        kid = cls_id.encode()
        extracted = HmacSha256(HmacSha256(own + theirs).mac(key))

        def session(way):
            return Mac0(extracted.mac(b"DICAMM channel 1 to " + way + kid + b"\x01"), kid)

        self._out = session(b"aEMT ")
        self._in = session(b"device ")
        self._sent = self._opened = 0

    def seal(self, message):
        """The message, numbered and sealed."""
        self._sent += 1
        return self._out.seal(cbor.encode([self._sent, message]))

    def open(self, sealed):
        """The message. Raises ValueError: not sealed by the aEMT, or not the next one."""
        content = cbor.decode(self._in.open(sealed))
        if not isinstance(content, list) or len(content) != 2:
            raise ValueError("no numbered message")
        if content[0] != self._opened + 1 or not isinstance(content[1], dict):
            raise ValueError("message out of turn")
        self._opened += 1
        return content[1]


class Channel(BenchLink):
    """service: as of a bench link; allowed: kinds of messages that the aEMT may send.

    heard: messages taken so far, the first of which proves the aEMT.
    """

    def __init__(self, service, allowed, stream, seals):
        super().__init__(None, service)
        self.heard = 0
        self._allowed = allowed
        self._stream = stream
        self._seals = seals
        self._told = -1  # number of the newest record the aEMT has or was sent; -1 not known yet
        self._flight = 0  # records sent since it last acknowledged

    async def take_next(self):
        """Serves one message. Raises ValueError, OSError, EOFError: the channel is over."""
        message = self._seals.open(await receive(self._stream))
        self.heard += 1
        number = message.get(1)
        if type(number) is int and number >= 0:
            await self.serve(message.get(0), number, message)
        else:
            self.malformed += 1

    async def serve(self, kind, number, message):
        """As a bench link, within the aEMT's authority."""
        if kind not in self._allowed:
            self.answer(number, Answer(codes.NOT_ALLOWED))
            return
        if kind == RECORDS and type(message.get(3)) is int:
            message[3] = min(message[3], AT_ONCE)
        elif kind == ACKNOWLEDGE:
            self._acknowledged(message)
        await super().serve(kind, number, message)

    def push(self):
        """Sends records that the aEMT has not been sent, as many as may be on their way."""
        if self._told >= 0 and self._flight < AT_ONCE:
            for seq, sealed in self.device.records(self._told + 1, AT_ONCE - self._flight):
                self._told = seq
                self._flight += 1
                self.send({0: RECORD, 2: seq, 3: sealed})

    def send(self, message):
        """Seals and writes; whoever runs the channel drains."""
        self._stream.write(envelope(self._seals.seal(message)))

    def _acknowledged(self, message):
        newest = message.get(4, message.get(2))
        if type(newest) is int and newest > self._told:
            self._told = newest
        self._flight = 0
        runs = message.get(3)
        if isinstance(runs, list):  # a few now; what it lacks beyond it asks for again
            del runs[1:]
            for run in runs:
                if isinstance(run, list) and len(run) == 2 and type(run[0]) is type(run[1]) is int:
                    run[1] = min(run[1], run[0] + AT_ONCE - 1)
