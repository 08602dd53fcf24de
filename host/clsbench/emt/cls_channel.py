"""The aEMT's CLS channels: accepts what gateways proxy, finds out whose box it is, keeps a table.

A connection comes from a gateway's certificate; the box behind it proves itself, and the aEMT to
it, with the key it was provisioned with. Every refusal is an event. Knows sockets, no commands.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial

from clsbench.emt import cls_seal
from clsbench.emt.cls_seal import ChannelBroken, EnvelopeReceiver, Seals, envelope
from clsbench.emt.cls_session import ClsSession
from clsbench.emt.delivery import KnownCls
from clsbench.errors import PeerRefused, PeerSilent
from clsbench.eventlog import EventLog
from clsbench.net.reverse import MAX_SESSION_S
from clsbench.net.serving_tasks import ServingTasks
from clsbench.net.tls import Peer
from clsbench.store.device_records import Holding

OPEN_WITHIN_S = 10.0
ORDER_WITHIN_S = 10.0

log = logging.getLogger("clsbench.emt.cls")

TakeRecords = Callable[[KnownCls, list[bytes]], Holding]
Order = Callable[[str, str, str | None], Awaitable[None]]  # smgw_id, proxy profile, uuid


class ClsChannels:
    """known: boxes by CLS-ID; take: stores their records; order: asks the GWA for a proxy."""

    def __init__(
        self, known: dict[str, KnownCls], take: TakeRecords, order: Order, events: EventLog
    ):
        self._known = known
        self._take = take
        self._order = order
        self._events = events
        self._sessions: dict[str, ClsSession] = {}
        self._tasks = ServingTasks()
        self._arrived = asyncio.Condition()
        self._ordering: dict[str, asyncio.Task[None]] = {}

    def names(self) -> list[str]:
        """CLS-IDs whose channel stands."""
        return sorted(name for name, session in self._sessions.items() if not session.closed)

    def accept(self, peer: Peer) -> asyncio.BaseProtocol:
        """The protocol of a connection from `peer`. Raises PeerRefused."""
        entries = [known.entry for known in self._known.values()]
        if peer.role != "SMGW" or all(peer.name != entry.smgw_id for entry in entries):
            raise PeerRefused(f"{peer.cn} is no SMGW of a CLS configured here")
        return self._tasks.protocol(partial(self._serve, peer))

    def orders(self, cls_id: str) -> bool:
        """Whether the channel of a box is ordered at the GWA where there is none."""
        return bool(self._known[cls_id].entry.proxy)

    async def session(self, cls_id: str, within_s: float, uuid: str | None = None) -> ClsSession:
        """The channel of a box, ordered or waited for where there is none.

        uuid: of the switching that needs it. Raises PeerSilent, PeerRefused where the GWA or the
        gateway says no for good.
        """
        if (found := self._get(cls_id)) is not None:
            return found
        await self._order_once(self._known[cls_id], uuid)
        try:
            async with asyncio.timeout(within_s), self._arrived:
                await self._arrived.wait_for(lambda: self._get(cls_id) is not None)
        except TimeoutError as error:
            raise PeerSilent(f"CLS {cls_id} has no channel open") from error
        found = self._get(cls_id)
        if found is None:
            raise PeerSilent(f"CLS {cls_id}: its channel ended as it was opened")
        return found

    async def close(self) -> None:
        """Ends all channels."""
        for session in list(self._sessions.values()):
            session.close("aEMT stops")
        ordering = list(self._ordering.values())
        for task in ordering:
            task.cancel()
        await asyncio.gather(self._tasks.close(), *ordering, return_exceptions=True)

    def _get(self, cls_id: str) -> ClsSession | None:
        session = self._sessions.get(cls_id)
        return None if session is None or session.closed else session

    async def _order_once(self, known: KnownCls, uuid: str | None) -> None:
        """Asks for the proxy, for all who wait for this box together."""
        entry = known.entry
        if not entry.proxy:
            return  # the box or its gateway opens the channel
        task = self._ordering.get(entry.cls_id)
        if task is None:
            task = asyncio.ensure_future(self._order(entry.smgw_id, entry.proxy, uuid))
            self._ordering[entry.cls_id] = task
            task.add_done_callback(lambda _: self._ordering.pop(entry.cls_id, None))
        await asyncio.shield(task)

    async def _serve(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                known, session = await self._open(peer, reader, writer)
        except (PeerRefused, OSError) as error:
            reason = str(error) or f"not opened within {OPEN_WITHIN_S:g} s"
            log.warning("channel through %s refused: %s", peer.cn, reason)
            self._tell(peer.name, "cls-channel.refused", False, {"reason": reason})
            writer.close()
            return
        await self._run(known, session)

    async def _open(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[KnownCls, ClsSession]:
        receiver = EnvelopeReceiver()
        contents: list[bytes] = []
        while not contents:
            data = await reader.read(cls_seal.MAX_MESSAGE)
            if not data:
                raise PeerRefused("closed before the box said who it is")
            contents = receiver.feed(data)
            if receiver.fault:
                raise ChannelBroken(receiver.fault)
        cls_id, device_nonce = cls_seal.device_open(contents[0])
        if len(contents) > 1:
            raise ChannelBroken("the box went on before it was answered")
        known = self._known.get(cls_id)
        if known is None:
            raise PeerRefused(f"CLS {cls_id!r} is in no [[cls]] of this aEMT")
        if known.entry.smgw_id != peer.name:
            raise PeerRefused(f"CLS {cls_id} belongs to {known.entry.smgw_id}")
        if known.key is None:
            raise PeerRefused(f"CLS {cls_id} has no key_file here: nothing proves who it is")
        nonce = os.urandom(cls_seal.NONCE_BYTES)
        writer.write(envelope(cls_seal.emt_open(nonce)))
        seals = Seals(known.key, cls_id, device_nonce, nonce)
        return known, ClsSession(
            f"CLS {cls_id}",
            reader,
            writer,
            receiver,
            seals,
            lambda records: self._take(known, records),
        )

    async def _run(self, known: KnownCls, session: ClsSession) -> None:
        cls_id = known.entry.cls_id
        running = asyncio.create_task(session.run())
        try:
            async with asyncio.timeout(MAX_SESSION_S):
                await session.acknowledge()  # its answer is the box's proof
                await self._stands(cls_id, session)
                await running
        except PeerSilent as silent:
            session.close(str(silent))
        except TimeoutError:
            session.close(f"session cut after {MAX_SESSION_S // 3600} h")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            session.close("aEMT stops")
            self._gone(cls_id, session)

    async def _stands(self, cls_id: str, session: ClsSession) -> None:
        before = self._get(cls_id)
        self._sessions[cls_id] = session
        self._tell(cls_id, "cls-channel", True, {"state": "up"})
        if before is not None:
            before.close("replaced by a newer one")
        async with self._arrived:
            self._arrived.notify_all()

    def _gone(self, cls_id: str, session: ClsSession) -> None:
        stood = self._sessions.get(cls_id) is session
        if stood:
            del self._sessions[cls_id]
        name = "cls-channel" if stood else "cls-channel.refused"
        self._tell(cls_id, name, stood, {"state": "down", "reason": session.reason})

    def _tell(self, who: str, name: str, ok: bool, detail: dict[str, str]) -> None:
        kind = "state" if ok else "fault"
        self._events.event("DICAMM", "aEMT", kind, name, ok=ok, detail={"subject": who} | detail)
