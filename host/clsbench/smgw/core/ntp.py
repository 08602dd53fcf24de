"""Time messages: NTP version 4 packets of 48 bytes, as they travel inside TLS.

Both roles: requests that say nothing of the client, what a server answers, and the rules by
which a client leaves an answer alone. Pure: times come in as nanoseconds.
Sources: BSI Detailspezifikationen 2.0 chapter 14, RFC 5905 (figure 8, section 9.2, annex A.5.1),
RFC 8633 (what a client need not tell).
"""

import struct
from dataclasses import dataclass

PACKET_BYTES = 48
VERSION = 4
CLIENT, SERVER = 3, 4
NOT_SYNCHRONISED = 3  # leap indicator
MAX_STRATUM = 15
MAX_ROUND_TRIP_NS = 9_000_000_000
FIRST_UTC_NS = 946_684_800 * 10**9  # 2000-01-01: what was before is no time of a server
LAST_UTC_NS = (2**32 + 0x7FFFFFFF - 2_208_988_800) * 10**9  # end of the first half of era 1, 2104
PRECISION = -20  # of our servers: about a microsecond
HIDDEN_PRECISION = 32  # what a request tells in its place

_LAYOUT = struct.Struct(">BBbbIIIQQQQ")
_TO_UNIX_S = 2_208_988_800
_ERA_S = 2**32

# reasons to leave an answer alone
LENGTH = "length"
VERSION_OLD = "version"
MODE = "mode"
LEAP = "not-synchronised"
STRATUM = "stratum"
ORIGIN = "origin"
SLOW = "round-trip"
ORDER = "order"
RANGE = "range"
JUMP = "jump"
REASONS = (LENGTH, VERSION_OLD, MODE, LEAP, STRATUM, ORIGIN, SLOW, ORDER, RANGE, JUMP)


class AnswerIgnored(Exception):
    """An answer that must not set the clock. reason: one of REASONS; the text says more."""

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


class RequestIgnored(Exception):
    """A request that a server does not answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One message, field by field; time stamps in NTP's 64-bit form, delays in its 32-bit form."""

    leap: int = 0
    version: int = VERSION
    mode: int = CLIENT
    stratum: int = 0
    poll: int = 0
    precision: int = 0
    root_delay: int = 0
    root_dispersion: int = 0
    reference_id: int = 0
    reference: int = 0
    origin: int = 0
    receive: int = 0
    transmit: int = 0

    def encode(self) -> bytes:
        """The 48 bytes."""
        first = self.leap << 6 | self.version << 3 | self.mode
        rest = (self.stratum, self.poll, self.precision, self.root_delay, self.root_dispersion)
        stamps = (self.reference, self.origin, self.receive, self.transmit)
        return _LAYOUT.pack(first, *rest, self.reference_id, *stamps)

    @classmethod
    def decode(cls, data: bytes) -> "Packet":
        """From exactly 48 bytes, whatever they hold."""
        first, *rest = _LAYOUT.unpack(data)
        return cls(first >> 6, first >> 3 & 7, first & 7, *rest)


@dataclass(frozen=True, slots=True)
class Sample:
    """What an answer says: at `at_ns` of the client's own oscillator it was `utc_ns`.

    bound_ns: how far that may be off, either way: half of the way, and what the server states.
    """

    at_ns: int
    utc_ns: int
    bound_ns: int


@dataclass(frozen=True, slots=True)
class Upstream:
    """What a server leans on. stratum: that of the clock it follows (0: a reference clock).

    delay_ns and dispersion_ns: from that clock to the reference; synchronised_ns: UTC at which
    this server last followed it, None while it does not.
    """

    stratum: int = 0
    delay_ns: int = 0
    dispersion_ns: int = 0
    synchronised_ns: int | None = None
    reference_id: int = 0x474E5353  # "GNSS"


def stamp(utc_ns: int) -> int:
    """NTP's time stamp for Unix nanoseconds; era 1 begins in February 2036."""
    seconds, rest = divmod(utc_ns, 10**9)
    return (seconds + _TO_UNIX_S) % _ERA_S << 32 | (rest << 32) // 10**9


def unix_ns(value: int) -> int:
    """Unix nanoseconds for a time stamp: 1968 to 2036 in era 0, 2036 to 2104 in era 1."""
    seconds, fraction = value >> 32, value & 0xFFFFFFFF
    if seconds < 0x80000000:
        seconds += _ERA_S
    return (seconds - _TO_UNIX_S) * 10**9 + (fraction * 10**9 + 2**31 >> 32)


def request(random_stamp: int) -> bytes:
    """A request that tells nothing of its sender. random_stamp: 64 random bits, not 0."""
    return Packet(precision=HIDDEN_PRECISION, transmit=random_stamp).encode()


def read_answer(answer: bytes, random_stamp: int, sent_ns: int, received_ns: int) -> Sample:
    """What the answer to a request says.

    sent_ns, received_ns: on the client's own oscillator, which need not know the time.
    Raises AnswerIgnored. Whether the clock may jump that far is not judged here.
    """
    if len(answer) != PACKET_BYTES:
        raise AnswerIgnored(LENGTH, f"{len(answer)} bytes in place of {PACKET_BYTES}")
    packet = Packet.decode(answer)
    _check_header(packet)
    if packet.origin != random_stamp:
        raise AnswerIgnored(ORIGIN, "answers another request than the last one")
    round_trip = received_ns - sent_ns
    if round_trip > MAX_ROUND_TRIP_NS:
        raise AnswerIgnored(SLOW, f"came after {round_trip / 1e9:.1f} s, at most 9 s count")
    arrived, left = unix_ns(packet.receive), unix_ns(packet.transmit)
    if not FIRST_UTC_NS <= left <= LAST_UTC_NS or not packet.transmit:
        raise AnswerIgnored(RANGE, "transmit time is outside 2000 to 2104")
    way = round_trip - (left - arrived)
    if left < arrived or way < 0:
        raise AnswerIgnored(ORDER, "the server's times do not lie between sending and receiving")
    bound = -(-way // 2) + _interval_ns(packet.root_delay) // 2
    bound += _interval_ns(packet.root_dispersion) + _precision_ns(packet.precision)
    return Sample(received_ns, left + way // 2, bound)


def answer(data: bytes, received_ns: int, transmit_ns: int, upstream: Upstream) -> bytes:
    """A server's answer; received_ns, transmit_ns: UTC. Raises RequestIgnored."""
    if len(data) != PACKET_BYTES:
        raise RequestIgnored(f"{len(data)} bytes in place of {PACKET_BYTES}")
    asked = Packet.decode(data)
    if asked.mode != CLIENT or asked.version != VERSION:
        raise RequestIgnored(f"mode {asked.mode}, version {asked.version}: answered are 3 and 4")
    common = {
        "mode": SERVER,
        "poll": asked.poll,
        "precision": PRECISION,
        "origin": asked.transmit,
        "receive": stamp(received_ns),
        "transmit": stamp(transmit_ns),
    }
    if upstream.synchronised_ns is None:
        return Packet(leap=NOT_SYNCHRONISED, stratum=0, **common).encode()
    return Packet(
        stratum=upstream.stratum + 1,
        root_delay=_interval(upstream.delay_ns),
        root_dispersion=_interval(upstream.dispersion_ns),
        reference_id=upstream.reference_id,
        reference=stamp(upstream.synchronised_ns),
        **common,
    ).encode()


def _check_header(packet: Packet) -> None:
    if packet.version < VERSION:
        raise AnswerIgnored(VERSION_OLD, f"version {packet.version}, at least {VERSION} counts")
    if packet.mode != SERVER:
        raise AnswerIgnored(MODE, f"mode {packet.mode} is not a server's")
    if packet.leap == NOT_SYNCHRONISED:
        raise AnswerIgnored(LEAP, "the server is not synchronised itself")
    if not 1 <= packet.stratum <= MAX_STRATUM:
        raise AnswerIgnored(STRATUM, f"stratum {packet.stratum} is no synchronised server's")


def _interval(nanoseconds: int) -> int:
    """NTP's short form (16 bits of seconds, 16 of fraction), rounded up."""
    return min(0xFFFFFFFF, -(-(nanoseconds << 16) // 10**9))


def _interval_ns(value: int) -> int:
    return -(-value * 10**9 >> 16) if value else 0


def _precision_ns(exponent: int) -> int:
    """What reading the server's clock may be off; a precision above a second counts as one."""
    return 10**9 >> -exponent if exponent < 0 else 10**9
