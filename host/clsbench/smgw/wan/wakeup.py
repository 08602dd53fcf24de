"""The port on which the administrator wakes the gateway, by UDP or TCP.

Takes messages one after the other, follows those that `core.wakeup` finds good, and answers
nobody: what was refused and why is for the gateway's own logs. The last time stamp followed is in
the store before anything is opened, so that none is followed twice, restart or not.
Source: BSI Detailspezifikationen 2.0 chapter 2.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from clsbench.errors import EnvironmentProblem
from clsbench.smgw.clock import GatewayClock
from clsbench.smgw.config_wan import WakeUpSection
from clsbench.smgw.core import wakeup
from clsbench.smgw.core.wakeup import Accepted, WakeUpRefused
from clsbench.smgw.journal import FAILURE, SMGW, WARNING, Journal
from clsbench.smgw.store import Store
from clsbench.smgw.wan.wakeup_signer import WakeUpSigner
from clsbench.smgw.worker import StoreWorker

LAST_FACT = "wakeup-last-utc-s"
MAX_WAITING = 64  # messages; what comes beyond them is dropped
MAX_CONNECTIONS = 16
MESSAGE_WITHIN_S = 3.0  # real seconds a TCP sender has

log = logging.getLogger(__name__)


class WakeUpPort:
    """follow(): called for each message that is to be followed."""

    def __init__(
        self,
        section: WakeUpSection,
        smgw_id: str,
        signer: WakeUpSigner,
        store: Store,
        worker: StoreWorker,
        journal: Journal,
        clock: GatewayClock,
        follow: Callable[[], None],
    ):
        wakeup.recipient_id(smgw_id)  # an id that cannot be woken is told at start
        self._flooded = 0  # messages dropped since there was room
        self._section = section
        self._smgw_id = smgw_id
        self._signer = signer
        self._store = store
        self._worker = worker
        self._journal = journal
        self._clock = clock
        self._follow = follow
        self._waiting: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue(MAX_WAITING)
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._senders: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        """Listens; returns the port. Raises EnvironmentProblem."""
        host, port = self._section.host, self._section.port
        loop = asyncio.get_running_loop()
        try:
            if self._section.transport == "udp":
                self._transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self.offer), local_addr=(host, port)
                )
                return self._transport.get_extra_info("sockname")[1]
            self._server = await asyncio.start_server(self._connected, host, port)
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot listen for wake-ups on {self._section.transport} {host}:{port}: "
                f"{error.strerror}. Choose another port, or 0"
            ) from error
        return self._server.sockets[0].getsockname()[1]

    async def run(self) -> None:
        """Takes what comes, for ever."""
        while True:
            message, address = await self._waiting.get()
            await self._take(message, address)
            if self._waiting.empty() and self._flooded:
                told = f"over: {self._flooded} messages were dropped"
                self._refused(address, "flood", told, b"")
                self._flooded = 0

    async def close(self) -> None:
        """Stops listening; whoever is still sending is cut off."""
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()
        for writer in self._senders:  # from Python 3.12 on the server would wait for them
            writer.transport.abort()

    def offer(self, message: bytes, address: str) -> None:
        """A message that came in; dropped and told where too many wait."""
        try:
            self._waiting.put_nowait((message, address))
        except asyncio.QueueFull:
            if not self._flooded:  # told when it begins, and counted when it is over
                self._refused(address, "flood", f"more than {MAX_WAITING} messages wait", message)
            self._flooded += 1

    async def _take(self, message: bytes, address: str) -> None:
        try:
            accepted = await self._judged(message)
        except WakeUpRefused as refusal:
            self._refused(address, refusal.reason, str(refusal), message)
            return
        detail = {"address": address, "utc_s": accepted.utc_s, "order": accepted.order}
        self._journal.event("GWA", SMGW, "message", "wakeup", detail=detail, raw=message)
        told = f"from {address}, time stamp {accepted.utc_s} {accepted.order}"
        self._journal.system("wakeup", self._smgw_id, told)
        self._follow()

    async def _judged(self, message: bytes) -> Accepted:
        """Cheap steps first, the store before anything is opened. Raises WakeUpRefused."""
        taken = wakeup.read(message)
        now_ms = self._clock.now_ms() if self._clock.is_set else None
        now_s = None if now_ms is None else now_ms // 1000
        accepted = wakeup.judge(taken, self._smgw_id, now_s, self._section.window_s)
        now = datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC)
        wakeup.check_signature(taken, self._signer.key(now))
        last = await self._worker.run(self._store.fact, LAST_FACT)
        wakeup.check_fresh(accepted, None if last is None else int(last))
        await self._worker.run(self._store.remember, LAST_FACT, str(accepted.utc_s))
        return accepted

    def _refused(self, address: str, reason: str, text: str, message: bytes) -> None:
        detail = {"address": address, "reason": reason, "text": text, "bytes": len(message)}
        self._journal.event(
            "GWA", SMGW, "fault", "wakeup.refused", ok=False, detail=detail, raw=message
        )
        told = f"{reason}: {text} (from {address})"
        self._journal.system("wakeup.refused", self._smgw_id, told, WARNING, FAILURE)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = _text(writer.get_extra_info("peername"))
        if len(self._senders) >= MAX_CONNECTIONS:
            self._refused(address, "flood", f"more than {MAX_CONNECTIONS} connections", b"")
            writer.close()
            return
        self._senders.add(writer)
        try:
            self.offer(await _message(reader), address)
        except OSError as error:
            log.info("wake-up connection from %s ended: %s", address, error)
        finally:
            self._senders.discard(writer)
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """What a TCP sender sends until it ends its side, is done, is too long or too slow."""
    data = b""
    try:
        async with asyncio.timeout(MESSAGE_WITHIN_S):
            while len(data) <= wakeup.MAX_BYTES and not _whole(data):
                chunk = await reader.read(wakeup.MAX_BYTES + 1)
                if not chunk:
                    break
                data += chunk
    except TimeoutError:
        pass  # judged by what came
    return data


def _whole(data: bytes) -> bool:
    try:
        wakeup.read(data)
    except WakeUpRefused:
        return False
    return True


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, str], None]):
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, _text(addr))


def _text(address: tuple[str, int] | None) -> str:
    return f"{address[0]}:{address[1]}" if address else "unknown"
