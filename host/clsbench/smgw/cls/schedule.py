"""Channels that the gateway opens by itself, and opens again: profiles opened by "smgw"."""

import asyncio
from collections.abc import Callable

from clsbench.pki.names import Peer
from clsbench.smgw.cls.engine import NoChannel, ProxyEngine
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.proxying import BY_SMGW
from clsbench.smgw.core.rights import ROLE_SMGW, Target
from clsbench.smgw.wan.channels import Backoff

LOOK_S = 1.0


class Schedule:
    """Keeps one channel for each such profile that is in force."""

    def __init__(
        self,
        engine: ProxyEngine,
        profiles: Profiles,
        now_ms: Callable[[], int],
        retry_max_s: float,
    ):
        self._engine = engine
        self._profiles = profiles
        self._now_ms = now_ms
        self._retry_max_s = retry_max_s
        name = profiles.smgw_id
        self._self = Peer(cn=f"{name}.SMGW", name=name, role=ROLE_SMGW, fingerprint="")

    async def run(self) -> None:
        """Never ends."""
        kept: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                wanted = self._wanted()
                for name in [name for name in kept if name not in wanted]:
                    kept.pop(name).cancel()
                for name in wanted - kept.keys():
                    kept[name] = asyncio.create_task(self._keep(name))
                await asyncio.sleep(LOOK_S)
        finally:
            for task in kept.values():
                task.cancel()

    def _wanted(self) -> set[str]:
        now = self._now_ms()
        return {
            proxy.name
            for proxy in self._profiles.proxies
            if proxy.opened_by == BY_SMGW and proxy.validity.holds(now)
        }

    async def _keep(self, name: str) -> None:
        backoff = Backoff(self._retry_max_s)
        while True:
            try:
                channel = await self._engine.connect(self._self, Target(proxy=name))
            except NoChannel:  # told by the engine
                await backoff.pause()
                continue
            await channel.ended.wait()
            backoff.reset()
            await backoff.pause()
