"""One open CLS channel at the aEMT: questions to a box, its answers, and the records it sends.

The messages are those of the bench link. Knows a stream and seals; whose box it is and where
records go is told from outside. Real time throughout.
"""

import asyncio
import itertools
import secrets
from collections.abc import Callable
from typing import Any

from clsbench.emt.cls_seal import ChannelBroken, EnvelopeReceiver, Seals, envelope
from clsbench.errors import PeerRefused, PeerSilent
from clsbench.store.device_records import Holding

COMMAND, ANSWER, RECORD, ACKNOWLEDGE = 3, 4, 5, 6  # kinds of messages, as on the bench link

ANSWER_WITHIN_S = 10.0
KEEP_ALIVE_S = 20.0  # between two questions at the latest; the box gives up after three of them
AT_ONCE = 6  # records that a box sends before it waits for an acknowledgement
_READ_BYTES = 16384

# stores records of the box; returns what is held then
Take = Callable[[list[bytes]], Holding]


class ClsSession:
    """reader, writer: the proxied connection, both opening messages already exchanged."""

    def __init__(
        self,
        name: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        receiver: EnvelopeReceiver,
        seals: Seals,
        take: Take,
    ):
        self.name = name
        self.reason = ""  # why it ended
        self._reader, self._writer = reader, writer
        self._receiver = receiver
        self._seals = seals
        self._take = take
        self._held = take([])
        self._numbers = itertools.count(1 + secrets.randbelow(2**29))
        self._waiting: dict[int, asyncio.Future[dict[int, Any]]] = {}
        self._asked_again: set[int] = set()  # numbers: what a box no longer has is asked for once
        self._closed = False

    @property
    def closed(self) -> bool:
        """True once it ended."""
        return self._closed or self._writer.is_closing()

    def close(self, reason: str) -> None:
        """Ends it; waiting questions raise PeerSilent."""
        if not self._closed:
            self._closed = True
            self.reason = reason
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(PeerSilent(f"channel to {self.name}: {reason}"))
                    future.exception()  # whoever waited may have gone
            self._waiting.clear()

    async def command(
        self,
        action: str,
        uuid: bytes,
        text: str,
        event_ms: int,
        within_s: float,
        limit: tuple[int, int] | None = None,
    ) -> tuple[int, int | None, str]:
        """Brings one command to the box's answer: (code, record's number, text).

        limit: W and s of action `limit`.
        Raises PeerSilent, also for an answer that is none.
        """
        message: dict[int, Any] = {0: COMMAND, 2: action, 3: uuid, 4: text, 5: event_ms}
        if limit is not None:
            message |= {6: limit[0], 7: limit[1]}
        answer = await self.ask(message, within_s)
        code, seq, told = answer.get(2), answer.get(3), answer.get(4)
        if type(code) is not int or not isinstance(told, str):
            raise PeerSilent(f"answer of {self.name} has no code or text")
        if seq is not None and type(seq) is not int:
            raise PeerSilent(f"answer of {self.name} has a wrong number")
        return code, seq, told

    async def acknowledge(self) -> dict[int, Any]:
        """Tells the box what is held here, asks for what is missing; its answer."""
        self._held = self._take([])
        return await self.ask(self._holding_message(), ANSWER_WITHIN_S)

    async def ask(self, message: dict[int, Any], within_s: float) -> dict[int, Any]:
        """Sends a message under a new number and returns its answer. Raises PeerSilent."""
        if self.closed:
            raise PeerSilent(f"channel to {self.name} is closed: {self.reason}")
        number = next(self._numbers)
        future: asyncio.Future[dict[int, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._send(message | {1: number})
            async with asyncio.timeout(within_s):
                return await future
        except TimeoutError as error:
            raise PeerSilent(
                f"{self.name} did not answer over its channel within {within_s:g} s"
            ) from error
        finally:
            self._waiting.pop(number, None)

    async def run(self) -> None:
        """Receives until the connection ends; `reason` says why then."""
        alive = asyncio.create_task(self._keep_alive())
        try:
            await self._receive()
        except ChannelBroken as broken:
            self.close(str(broken))
        except OSError as error:
            self.close(f"connection lost: {error}")
        finally:
            alive.cancel()
            self.close("closed by the other side")

    async def _receive(self) -> None:
        contents = self._receiver.feed(b"")  # came with the opening
        while True:
            records: list[bytes] = []
            for content in contents:
                self._heed(self._seals.open(content), records)
            if records:
                self._held = self._take(records)
                self._send_unasked(self._holding_message())
            if self._receiver.fault:
                raise ChannelBroken(self._receiver.fault)
            data = await self._reader.read(_READ_BYTES)
            if not data:
                return
            contents = self._receiver.feed(data)

    def _heed(self, message: dict[int, Any], records: list[bytes]) -> None:
        if message.get(0) == RECORD:
            sealed = message.get(3)
            if not isinstance(sealed, bytes):
                raise ChannelBroken("a record message without its record")
            records.append(sealed)
            return
        future = self._waiting.get(message.get(1, 0))
        if future is not None and not future.done():
            future.set_result(message)
        if message.get(0) == ANSWER and self._unasked():
            self._send_unasked(self._holding_message())  # more is missing

    def _unasked(self) -> list[int]:
        """The next run of missing numbers that the box was not asked for yet, its bounds."""
        for first, last in self._held.missing:
            fresh = next((n for n in range(first, last + 1) if n not in self._asked_again), None)
            if fresh is not None:
                return [fresh, min(last, fresh + AT_ONCE - 1)]
        return []

    def _holding_message(self) -> dict[int, Any]:
        held = self._held
        message: dict[int, Any] = {0: ACKNOWLEDGE, 2: held.acknowledged, 4: held.newest}
        run = self._unasked()
        if run:
            self._asked_again.update(range(run[0], run[1] + 1))
            message[3] = [run]
        return message

    def _send_unasked(self, message: dict[int, Any]) -> None:
        self._send(message | {1: next(self._numbers)})

    def _send(self, message: dict[int, Any]) -> None:
        self._writer.write(envelope(self._seals.seal(message)))

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            try:
                await self.acknowledge()
            except PeerRefused as error:
                self.close(str(error))
            except PeerSilent as silent:
                self.close(str(silent))
