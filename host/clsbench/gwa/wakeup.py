"""Wakes gateways: makes the message, signs it as the administrator, sends it.

A gateway answers by opening its management connection, never to the sender.
Source: BSI Detailspezifikationen 2.0 chapter 2.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.clock import BenchClock
from clsbench.errors import BadInput, ClsbenchError, PeerSilent
from clsbench.eventlog import EventLog
from clsbench.net.reverse import HttpOverStream, OpenStreams
from clsbench.pki.files import read_key
from clsbench.roleconfig import PkiDir
from clsbench.smgw.core import wakeup

SEND_WITHIN_S = 5.0
AWAKE_WITHIN_S = 12.0  # real seconds a woken gateway has to open its management connection

log = logging.getLogger("clsbench.gwa.wakeup")


def parse_address(text: str) -> tuple[str, str, int]:
    """(transport, host, port) of `udp://host:port` or `tcp://host:port`. Raises BadInput."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadInput(f"wake-up address '{text}': {error}") from error
    if parts.scheme not in ("udp", "tcp") or not parts.hostname or not port or parts.path:
        raise BadInput(f"wake-up address '{text}': expected udp://HOST:PORT or tcp://HOST:PORT")
    return parts.scheme, parts.hostname, port


def signing_key(pki: PkiDir) -> ec.EllipticCurvePrivateKey:
    """The administrator's key for signatures. Raises BadInput."""
    path = pki.dir / "gwa" / "sig.key.pem"
    try:
        return read_key(path)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: cannot be read ({error}). Make a test PKI: clsbench pki init --out DIR"
        ) from error


class WakeUpSender:
    """key: that of the administrator; order: of the time stamp's bytes."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, clock: BenchClock, events: EventLog):
        self._key = key
        self._clock = clock
        self._events = events

    def message(self, smgw_id: str, order: str = wakeup.LOW_FIRST) -> bytes:
        """A message made now. Raises BadInput."""
        return wakeup.make(smgw_id, self._clock.now_ms() // 1000, self._key, order)

    def send(self, smgw_id: str, address: str, message: bytes) -> None:
        """Sends it, blocking. Raises BadInput, PeerSilent where TCP finds nobody."""
        transport, host, port = parse_address(address)
        detail = {"smgw_id": smgw_id, "address": address, "bytes": len(message)}
        try:
            _send(transport, host, port, message)
        except OSError as error:
            detail["reason"] = str(error)
            self._events.event(
                "GWA", "SMGW", "fault", "gwa.wakeup", ok=False, detail=detail, raw=message
            )
            raise PeerSilent(
                f"wake-up of {smgw_id} at {address} not sent: {error}. Is the gateway running "
                "with a [wakeup] section of this transport?"
            ) from error
        self._events.event("GWA", "SMGW", "message", "gwa.wakeup", detail=detail, raw=message)


class Gateways(OpenStreams):
    """The management connections, keyed by smgw_id; who is asleep is woken to be reached.

    addresses: smgw_id -> where it is woken; sender(): made when first needed.
    """

    def __init__(
        self,
        on_change: Callable[[str, bool], None],
        addresses: dict[str, str],
        sender: Callable[[], WakeUpSender],
    ):
        super().__init__(on_change)
        self._addresses = addresses
        self._sender = sender

    async def reach(self, smgw_id: str) -> HttpOverStream | None:
        """The gateway's connection, after a wake-up where it needs one; None without."""
        stream, address = self.get(smgw_id), self._addresses.get(smgw_id, "")
        if stream is not None or not address:
            return stream
        try:
            sender = self._sender()
            message = sender.message(smgw_id)
            await asyncio.to_thread(sender.send, smgw_id, address, message)
        except ClsbenchError as error:
            log.warning("%s", error)
            return None
        return await self.wait(smgw_id, AWAKE_WITHIN_S)


def _send(transport: str, host: str, port: int, message: bytes) -> None:
    if transport == "udp":
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
            datagrams.sendto(message, (host, port))
        return
    with socket.create_connection((host, port), SEND_WITHIN_S) as stream:
        stream.sendall(message)
        stream.shutdown(socket.SHUT_WR)
