"""The administrator's time server: NTP packets on TLS connections that gateways open.

Answers what is a request and ignores the rest; who is let in is told from outside.
Source: BSI Detailspezifikationen 2.0 section 14.3.3.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from pydantic import Field

from clsbench.clock import BenchClock
from clsbench.eventlog import EventLog
from clsbench.net.reverse import MAX_SESSION_S
from clsbench.net.serving_tasks import ServingTasks
from clsbench.net.tls import Peer
from clsbench.roleconfig import Endpoint
from clsbench.smgw.core import ntp
from clsbench.smgw.core.ntp import RequestIgnored, Upstream

MAX_IGNORED = 8  # in a row: then the stream is out of step and is closed

log = logging.getLogger("clsbench.gwa.time")


class TimeSection(Endpoint):
    """The time port. stratum: of the clock the server follows (its own is one more).

    dispersion_ms: how far the server may be off, as it states it. synchronised = false and
    offset_ms (what it is off in truth) play a server that fails.
    """

    stratum: int = Field(default=0, ge=0, le=14)
    dispersion_ms: int = Field(default=1, ge=0, le=60_000)
    synchronised: bool = True
    offset_ms: int = 0


class TimeServer:
    """Serves connections; `upstream(utc_ns)` and `offset_ns` can be replaced to play faults."""

    def __init__(self, section: TimeSection, clock: BenchClock, events: EventLog):
        self.offset_ns = section.offset_ms * 10**6
        self.upstream: Callable[[int], Upstream] = lambda utc_ns: Upstream(
            stratum=section.stratum,
            dispersion_ns=section.dispersion_ms * 10**6,
            synchronised_ns=utc_ns if section.synchronised else None,
        )
        self._clock = clock
        self._events = events
        self._tasks = ServingTasks()

    def accept(self, peer: Peer) -> asyncio.BaseProtocol:
        """The protocol of one connection of a gateway."""
        return self._tasks.protocol(partial(self._serve, peer))

    async def close(self) -> None:
        """Ends all connections."""
        await self._tasks.close()

    async def _serve(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        ignored = 0
        try:
            async with asyncio.timeout(MAX_SESSION_S):
                while ignored < MAX_IGNORED:
                    data = await reader.readexactly(ntp.PACKET_BYTES)
                    received_ns = self._clock.now_ns() + self.offset_ns
                    ignored = 0 if self._answer(peer, data, received_ns, writer) else ignored + 1
                    await writer.drain()
        except asyncio.IncompleteReadError as error:
            if error.partial:
                self._tell_ignored(peer, f"{len(error.partial)} bytes in place of 48")
        except (OSError, TimeoutError) as error:
            log.info("time connection of %s ended: %s", peer.name, error)
        finally:
            writer.close()

    def _answer(
        self, peer: Peer, data: bytes, received_ns: int, writer: asyncio.StreamWriter
    ) -> bool:
        now_ns = self._clock.now_ns() + self.offset_ns
        try:
            packet = ntp.answer(data, received_ns, now_ns, self.upstream(now_ns))
        except RequestIgnored as error:
            self._tell_ignored(peer, str(error))
            return False
        writer.write(packet)
        return True

    def _tell_ignored(self, peer: Peer, reason: str) -> None:
        log.warning("time request of %s ignored: %s", peer.name, reason)
        detail = {"smgw_id": peer.name, "reason": reason}
        self._events.event("SMGW", "GWA", "fault", "gwa.time-ignored", ok=False, detail=detail)
