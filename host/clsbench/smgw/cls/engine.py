"""The channels that stand: who may have one, how it is opened, when it must end.

A channel is asked for by a box (SOCKS-TLS), by the administrator for a market participant
(Connect of a proxy profile), or by the gateway's own schedule. `core.rights` decides, and is
asked again every second: a channel whose profiles changed or ran out is cut. Each step is an
event and an entry of the system log.
Sources: BSI Detailspezifikationen 2.0 (HKS proxies); TR-03116-3 (sessions end after 48 h).
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clsbench import steps
from clsbench.smgw.cls.legs import LegFailed, Legs
from clsbench.smgw.cls.relay import Relay
from clsbench.smgw.core import rights
from clsbench.smgw.core.parties import ClsProfile, EmtProfile, ProxyProfile
from clsbench.smgw.core.rights import Caller, Grant, Refusal, Rights, Target
from clsbench.smgw.journal import FAILURE, LANE_OF_ROLE, SMGW, WARNING, Journal

MAX_SESSION_S = 48 * 3600.0
MAX_CHANNELS = 4  # of one proxy profile at once
LOOK_S = 1.0  # between two looks at what stands


class NoChannel(Exception):
    """A channel was not opened. http_status: for those who asked over HTTP.

    timed_out, profile: what SOCKS-TLS has replies of its own for.
    """

    def __init__(
        self, reason: str, http_status: int, timed_out: bool = False, profile: bool = True
    ):
        super().__init__(reason)
        self.http_status = http_status
        self.timed_out = timed_out
        self.profile = profile


@dataclass
class Channel:
    """One that stands, or is being opened."""

    number: int
    caller: Caller
    target: Target
    grant: Grant
    proxy: ProxyProfile
    cls: ClsProfile
    emt: EmtProfile
    since_s: float
    uuid: str | None  # of the switching it is opened for
    relay: Relay = field(init=False)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    is_open: bool = False

    def detail(self) -> dict[str, Any]:
        """What events say of it."""
        return {
            "channel": self.number,
            "proxy": self.proxy.name,
            "cls_id": self.cls.cls_id,
            "emt_id": self.emt.name,
            "opened_by": self.proxy.opened_by,
        }


class ProxyEngine:
    """now_s: seconds of the bench's clock, without steps. max_session_s: of them, after which a
    channel is cut."""

    def __init__(
        self,
        authority: Rights,
        journal: Journal,
        legs: Legs,
        max_session_s: float = MAX_SESSION_S,
        now_s: Callable[[], float] = time.monotonic,
    ):
        self._rights = authority
        self._journal = journal
        self._legs = legs
        self._max_session_s = max_session_s
        self._now_s = now_s
        self._numbers = itertools.count(1)
        self._channels: dict[int, Channel] = {}

    def admit(self, caller: Caller, target: Target, uuid: str | None = None) -> Channel:
        """A channel to be opened. uuid: of the switching that needs it. Raises NoChannel, which is
        told."""
        lane = LANE_OF_ROLE[caller.role]
        asked = {"subject": caller.name, "proxy": target.proxy}
        self._journal.event(lane, SMGW, "message", "proxy.asked", detail=asked)
        verdict = self._rights.decide(caller, rights.OPEN_PROXY, target)
        if isinstance(verdict, Refusal):
            self._journal.refused(lane, "proxy.refused", caller.name, verdict.reason, detail=asked)
            told = {"via": steps.BY_CHANNEL, **asked, "reason": verdict.reason}
            self._journal.step(steps.RIGHTS, lane, SMGW, uuid, ok=False, **told)
            raise NoChannel(verdict.reason, verdict.http_status, profile=False)
        proxy, cls, emt = verdict.proxy, verdict.cls, verdict.emt
        assert proxy is not None and cls is not None and emt is not None
        of_it = [c for c in self._channels.values() if c.proxy.name == proxy.name]
        if len(of_it) >= MAX_CHANNELS:
            reason = f"proxy profile '{proxy.name}' has {len(of_it)} channels, at most that many"
            self._journal.refused(lane, "proxy.refused", caller.name, reason, detail=asked)
            raise NoChannel(reason, 503)
        channel = Channel(
            next(self._numbers), caller, target, verdict, proxy, cls, emt, self._now_s(), uuid
        )
        channel.relay = Relay(lambda reason: self._ended(channel, reason))
        self._channels[channel.number] = channel
        self._step(channel, steps.RIGHTS, lane, SMGW)
        return channel

    async def open_wan(self, channel: Channel) -> None:
        """TLS to the market participant. Raises NoChannel."""
        await self._leg(channel, "aEMT", "proxy.wan", self._legs.to_wan, channel.emt)

    async def open_box(self, channel: Channel) -> None:
        """TLS to the box. Raises NoChannel."""
        await self._leg(channel, "DICAMM", "proxy.box", self._legs.to_box, channel.cls)

    def opened(self, channel: Channel) -> None:
        """Both sides are there: it is told as open."""
        if channel.relay.ended:
            return
        channel.is_open = True
        detail = channel.detail()
        self._journal.event(SMGW, SMGW, "state", "proxy.open", detail=detail)
        self._step(channel, steps.PROXY, SMGW, "DICAMM")
        between = f"channel {channel.number} between {channel.cls.cls_id} and {channel.emt.name}"
        self._journal.system("proxy.open", channel.proxy.name, between)

    async def connect(self, caller: Caller, target: Target, uuid: str | None = None) -> Channel:
        """A channel whose two sides the gateway opens; it replaces its forerunner.

        uuid: of the switching that needs it. Raises NoChannel.
        """
        channel = self.admit(caller, target, uuid)
        for other in list(self._channels.values()):
            if other is not channel and other.proxy.name == channel.proxy.name:
                other.relay.close("replaced")
        try:
            await self.open_wan(channel)
            await self.open_box(channel)
        except BaseException:
            channel.relay.close("not opened")
            raise
        if channel.relay.ended:
            raise NoChannel("closed by the other side as it was opened", 502)
        self.opened(channel)
        return channel

    async def run(self) -> None:
        """Cuts what may stand no longer. Never ends."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Asks again for every channel whether it may stand."""
        now_s = self._now_s()
        for channel in list(self._channels.values()):
            verdict = self._rights.decide(channel.caller, rights.OPEN_PROXY, channel.target)
            if isinstance(verdict, Refusal):
                channel.relay.close(f"profiles changed: {verdict.reason}")
            elif verdict != channel.grant:
                channel.relay.close(f"profiles changed: '{channel.proxy.name}' is another now")
            elif now_s - channel.since_s >= self._max_session_s:
                channel.relay.close(f"session cut after {self._max_session_s / 3600:g} h")

    def close(self) -> None:
        """Ends all channels."""
        for channel in list(self._channels.values()):
            channel.relay.close("gateway stops")

    def states(self) -> list[dict[str, Any]]:
        """What stands, with its bytes."""
        return [
            channel.detail() | _bytes(channel)
            for channel in self._channels.values()
            if channel.is_open
        ]

    async def _leg(self, channel: Channel, lane: str, name: str, connect: Any, party: Any) -> None:
        half = channel.relay.wan if lane == "aEMT" else channel.relay.box
        detail = channel.detail()
        try:
            await connect(channel.proxy, party, half)
        except LegFailed as failed:
            self._journal.event(
                SMGW, lane, "fault", name, ok=False, detail=detail | {"reason": str(failed)}
            )
            self._journal.system(name, channel.proxy.name, str(failed), WARNING, FAILURE)
            self._step(channel, steps.TLS, SMGW, lane, ok=False, reason=str(failed))
            channel.relay.close(str(failed))
            raise NoChannel(str(failed), 504 if failed.timed_out else 502, failed.timed_out) from (
                failed
            )
        self._journal.event(SMGW, lane, "state", name, detail=detail)
        self._step(channel, steps.TLS, SMGW, lane)

    def _step(self, channel: Channel, number: int, lane: str, to: str, **more: Any) -> None:
        told = {"via": steps.BY_CHANNEL, **channel.detail(), **more}
        self._journal.step(number, lane, to, channel.uuid, **told)

    def _ended(self, channel: Channel, reason: str) -> None:
        self._channels.pop(channel.number, None)
        channel.ended.set()
        if not channel.is_open:
            return  # told by what failed
        detail = channel.detail() | _bytes(channel) | {"reason": reason}
        self._journal.event(SMGW, SMGW, "state", "proxy.closed", detail=detail)
        counted = f"{channel.relay.to_wan} bytes to the WAN, {channel.relay.to_box} to the box"
        self._journal.system("proxy.closed", channel.proxy.name, f"{reason}; {counted}")


def _bytes(channel: Channel) -> dict[str, int]:
    return {"to_wan": channel.relay.to_wan, "to_box": channel.relay.to_box}
