"""The connections that the gateway opens and keeps: management to the GWA, channels to EMTs.

On each, the gateway is the TLS client and answers HTTP requests. The management connection
is always wanted; the channel to a market participant only after the GWA's Connect, until its
Disconnect or the end of this process (the GWA connects again after a restart).
Sources: BSI TR-03109-1 (the SMGW opens every WAN connection), FlexMC final report (Connect).
"""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web

from clsbench.net.reverse import connect_and_serve
from clsbench.pki.names import Peer
from clsbench.smgw.core.profiles import EmtProfile, Endpoint
from clsbench.smgw.journal import FAILURE, LANE_OF_ROLE, SMGW, WARNING, Journal

RETRY_MIN_S = 0.5

PeerHandler = Callable[[Peer, web.BaseRequest], Awaitable[web.StreamResponse]]


class Backoff:
    """Growing pauses between tries, each varied by half so that gateways do not try in step."""

    def __init__(self, max_s: float):
        self._max_s = max_s
        self._next_s = RETRY_MIN_S

    def reset(self) -> None:
        """The last try went well."""
        self._next_s = RETRY_MIN_S

    async def pause(self, hurry: asyncio.Event | None = None) -> None:
        """Sleeps, in real time, before the next try; `hurry` ends the pause, and is cleared."""
        pause_s = self._next_s * random.uniform(0.5, 1.5)
        self._next_s = min(self._max_s, self._next_s * 2)
        if hurry is None:
            await asyncio.sleep(pause_s)
            return
        try:
            async with asyncio.timeout(pause_s):
                await hurry.wait()
        except TimeoutError:
            return
        hurry.clear()
        self.reset()


class Channel:
    """One connection, opened again whenever it ends. kind: name of it in events."""

    def __init__(
        self,
        kind: str,
        endpoint: Endpoint,
        context: ssl.SSLContext,
        role: str,
        name: str,
        handler: PeerHandler,
        journal: Journal,
        retry_max_s: float,
    ):
        self.opened = asyncio.Event()
        self.last_problem = ""
        self.wanted = asyncio.Event()  # set it to end the pause before the next try
        self._kind = kind
        self.endpoint = endpoint
        self._context = context
        # who answers is made sure of by role and name before the first request is served
        self._peer = Peer(cn=f"{name}.{role}", name=name, role=role, fingerprint="")
        self._handler = handler
        self._journal = journal
        self._retry_max_s = retry_max_s
        self._used_s = 0.0

    async def run(self) -> None:
        """Keeps the connection up for ever."""
        backoff = Backoff(self._retry_max_s)
        while True:
            if await self.once():
                backoff.reset()
            await backoff.pause(self.wanted)

    async def once(self) -> bool:
        """One connection until it ends; returns whether it ever stood."""
        self._used_s = asyncio.get_running_loop().time()
        return await connect_and_serve(
            self.endpoint.host,
            self.endpoint.port,
            self._context,
            self._peer.role,
            self._peer.name,
            self._serve,
            self._on_state,
            self._no_http,
            self.endpoint.sni,
        )

    def idle_s(self) -> float:
        """Real seconds since it was opened, or last asked something."""
        return asyncio.get_running_loop().time() - self._used_s

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._used_s = asyncio.get_running_loop().time()
        try:
            return await self._handler(self._peer, request)
        finally:
            self._used_s = asyncio.get_running_loop().time()

    def _no_http(self, status: int, reason: str) -> None:
        detail = {"channel": self._kind, "status": status}
        self._journal.refused(
            LANE_OF_ROLE[self._peer.role], "wan.refused", self._peer.name, reason, detail=detail
        )

    def _on_state(self, is_open: bool, reason: str) -> None:
        lane = LANE_OF_ROLE[self._peer.role]
        place = f"{self.endpoint.host}:{self.endpoint.port}"
        detail = {"channel": self._kind, "peer": self._peer.cn, "address": place}
        if is_open:
            self.opened.set()
            self.last_problem = ""
            self._journal.event(SMGW, lane, "state", "channel.open", detail=detail)
            self._journal.system("channel.open", self._peer.cn, f"{self._kind} to {place}")
            return
        was_open = self.opened.is_set()
        self.opened.clear()
        if was_open:
            told = detail | {"reason": reason}
            self._journal.event(SMGW, lane, "state", "channel.closed", detail=told)
            self._journal.system("channel.closed", self._peer.cn, reason)
        elif reason != self.last_problem:  # the same failure over and over is told once
            told = detail | {"reason": reason}
            self._journal.event(SMGW, lane, "fault", "channel.failed", ok=False, detail=told)
            self._journal.system("channel.failed", self._peer.cn, reason, WARNING, FAILURE)
        self.last_problem = reason


class ChannelRefused(Exception):
    """The channel did not come up; the text says why."""


class EmtChannels:
    """The channels that a Connect of the GWA stands for, by market participant."""

    def __init__(
        self,
        context: ssl.SSLContext,
        handler: PeerHandler,
        journal: Journal,
        retry_max_s: float,
    ):
        self._context = context
        self._handler = handler
        self._journal = journal
        self._retry_max_s = retry_max_s
        self._channels: dict[str, tuple[Channel, asyncio.Task[None]]] = {}

    async def connect(self, emt: EmtProfile, within_s: float) -> None:
        """Opens the channel and keeps it; one that stands already is left alone.

        Raises ChannelRefused when it is not open in `within_s`; then the Connect is void,
        unless an earlier one stands, which goes on trying.
        """
        fresh = emt.name not in self._channels
        if fresh:
            self._open(emt)
        channel, _ = self._channels[emt.name]
        if not fresh and not channel.opened.is_set():
            channel.wanted.set()  # the participant was away and asks for it now
        try:
            async with asyncio.timeout(within_s):
                await channel.opened.wait()
        except TimeoutError as error:
            if fresh:
                await self.disconnect(emt.name)
            reason = channel.last_problem or f"not open within {within_s:g} s"
            raise ChannelRefused(f"channel to {emt.name}: {reason}") from error

    async def moved(self, emt: EmtProfile) -> None:
        """Opens a standing channel anew where the participant's profile names another place."""
        if emt.name in self._channels and self._channels[emt.name][0].endpoint != emt.channel:
            await self.disconnect(emt.name)
            self._open(emt)

    def _open(self, emt: EmtProfile) -> None:
        channel = Channel(
            "emt",
            emt.channel,
            self._context,
            "EMT",
            emt.name,
            self._handler,
            self._journal,
            self._retry_max_s,
        )
        self._channels[emt.name] = (channel, asyncio.create_task(channel.run()))

    async def disconnect(self, name: str) -> bool:
        """Ends the channel and its Connect; False when there was none."""
        if name not in self._channels:
            return False
        _, task = self._channels.pop(name)
        task.cancel()
        await asyncio.wait([task])
        return True

    async def close(self) -> None:
        """Ends all channels."""
        for name in list(self._channels):
            await self.disconnect(name)

    def states(self) -> dict[str, str]:
        """By market participant with a Connect: open or closed."""
        return {
            name: "open" if channel.opened.is_set() else "closed"
            for name, (channel, _) in self._channels.items()
        }
