"""The host's end of the bench link: requests to a DICAMM over its console, answers, log, records.

Works on any serial port name pyserial understands: a pty of the unix board, /dev/ttyACM0,
rfc2217:// and socket:// URLs. One request at a time; console text and log entries that
arrive meanwhile go to the listeners.
"""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import serial

from clsbench.device.link_inbox import (
    ACKNOWLEDGE,
    COMMAND,
    DETACH,
    HAND_OVER,
    HELLO,
    LOGS,
    RECORDS,
    STATUS,
    TIME,
    Inbox,
    frame,
)
from clsbench.device.ports import close_port, open_port
from clsbench.errors import PeerRefused, PeerSilent

_BATCH = 32


class LinkClient:
    """An open bench link. Make it with `await LinkClient.open(port)`; close it with `close()`.

    on_log(mono_ms, code, arguments): each log entry of the device; on_text(line): console text.
    """

    def __init__(self, port: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.port = port
        self._reader = reader
        self._writer = writer
        self._inbox = Inbox()
        # not from 1: an answer to a program that ended early may still be on its way
        self._numbers = itertools.count(1 + secrets.randbelow(2**29))
        self._lock = asyncio.Lock()
        self._waiting: asyncio.Future[dict[int, Any]] | None = None
        self._attached = False  # the device sends its log unasked
        self._task = asyncio.create_task(self._receive())

    @classmethod
    async def open(cls, port: str, baud: int = 115200) -> "LinkClient":
        """Opens the port. Raises EnvironmentProblem when it cannot be opened."""
        return cls(port, *await open_port(port, baud))

    @property
    def on_log(self) -> Callable[[int, int, list[Any]], None] | None:
        return self._inbox.on_log

    @on_log.setter
    def on_log(self, listener: Callable[[int, int, list[Any]], None] | None) -> None:
        self._inbox.on_log = listener

    @property
    def on_text(self) -> Callable[[str], None] | None:
        return self._inbox.on_text

    @on_text.setter
    def on_text(self, listener: Callable[[str], None] | None) -> None:
        self._inbox.on_text = listener

    async def close(self) -> None:
        """Tells the device that nobody listens any more and closes the port; pending requests
        fail."""
        if self._attached and not self._task.done() and not self._lock.locked():
            # answered, so that no byte of it is left for the REPL when Ctrl-C comes next
            with contextlib.suppress(PeerSilent):
                await self.request({0: DETACH}, timeout_s=0.3, tries=1)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await close_port(self._writer)

    async def hello(self, timeout_s: float = 2.0, tries: int = 5) -> dict[str, Any]:
        """Who is there: device_id, cls_id, meter_id, version, board, protocol, mono_ms,
        start_id (another after each start)."""
        answer = await self.request({0: HELLO}, timeout_s, tries)
        self._attached = True
        return answer[2]

    async def status(self) -> dict[str, Any]:
        """The device's state, taken after a garbage collection."""
        return (await self.request({0: STATUS}))[2]

    async def set_time(self, utc_ms: int, bound_ms: int) -> None:
        """Gives the device UTC on a bench without a gateway.

        Sent once: a repeat would carry a time that has gone by meanwhile. The device keeps its
        own time where that is known within a smaller bound; `status` shows what it has.
        """
        await self._ask({0: TIME, 2: utc_ms, 3: bound_ms}, tries=1)

    async def command(
        self, action: str, uuid: bytes, text: str = "", event_ms: int | None = None
    ) -> tuple[int, int | None, str]:
        """Switches: action "begin" or "end". Returns (code, sequence number, device's text)."""
        message = {0: COMMAND, 2: action, 3: uuid, 4: text, 5: event_ms}
        answer = await self.request(message, timeout_s=5.0, tries=2)
        return answer[2], answer[3], answer[4]

    async def records(self, first: int = 1) -> list[tuple[int, bytes]]:
        """All sealed records the device still holds, from number `first` on: (seq, bytes)."""
        found: list[tuple[int, bytes]] = []
        while True:
            self._inbox.records.clear()
            await self._ask({0: RECORDS, 2: first, 3: _BATCH}, timeout_s=10.0)
            batch = dict(self._inbox.records)  # a repeated request brings records twice
            found += sorted(batch.items())
            if len(batch) < _BATCH:
                return found
            first = max(batch) + 1

    async def acknowledge(
        self, seq: int, lacking: Sequence[tuple[int, int]] = ()
    ) -> tuple[int, list[tuple[int, bytes]]]:
        """Tells the device that all records up to `seq` are safely stored here.

        lacking: ranges, both ends included, that are to be sent again. Returns the number up to
        which the device may let records give way, which is its gateway's affair where it has
        one, and the records it sent again: (seq, bytes).
        """
        self._inbox.records.clear()
        message: dict[int, Any] = {0: ACKNOWLEDGE, 2: seq}
        if lacking:
            message[3] = [list(run) for run in lacking]
        answer = await self._ask(message, timeout_s=10.0)
        return answer[3], sorted(dict(self._inbox.records).items())

    async def logs(self) -> list[tuple[int, int, list[Any]]]:
        """The log entries the device still holds: (mono_ms, code, arguments), oldest first."""
        self._inbox.logs.clear()
        await self._ask({0: LOGS})
        return self._inbox.unique_logs()

    async def hand_over(self) -> None:
        """Makes the firmware end and give the port back to the REPL (the relay opens)."""
        await self._ask({0: HAND_OVER})
        self._attached = False

    async def _ask(
        self, message: dict[int, Any], timeout_s: float = 3.0, tries: int = 3
    ) -> dict[int, Any]:
        answer = await self.request(message, timeout_s, tries)
        if answer.get(2):
            raise PeerRefused(f"device on {self.port} refused: code {answer[2]} {answer.get(4)}")
        return answer

    def _send(self, message: dict[int, Any]) -> None:
        self._writer.write(frame(message))

    async def request(
        self, message: dict[int, Any], timeout_s: float = 3.0, tries: int = 3
    ) -> dict[int, Any]:
        """Sends a message under a new number until its answer comes.

        A repeat carries the same number, so the device answers it without doing it twice.
        Raises PeerSilent after `tries` times `timeout_s`.
        """
        async with self._lock:
            number = next(self._numbers)
            future = asyncio.get_running_loop().create_future()
            self._inbox.await_answer(number)
            self._waiting = future
            for _ in range(tries):
                self._send(message | {1: number})
                done, _pending = await asyncio.wait(
                    {future, self._task}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
                )
                if future in done:
                    return future.result()
                if self._task in done:
                    raise PeerSilent(f"port {self.port} was closed by the other side")
            raise PeerSilent(
                f"no DICAMM answered on {self.port} ({tries} tries, {timeout_s:g} s each). "
                "Does the firmware run? mpremote shows the console; Ctrl-D there restarts it."
                + "".join(f"\n  console: {line}" for line in self._inbox.console)
            )

    async def _receive(self) -> None:
        while True:
            try:
                data = await asyncio.wait_for(self._reader.read(4096), 0.25)
            except TimeoutError:
                self._inbox.flush()
            except (OSError, serial.SerialException):
                return
            else:
                if not data:
                    return
                self._inbox.feed(data)
            answer, waiting = self._inbox.answer, self._waiting
            if answer is not None and waiting is not None and not waiting.done():
                waiting.set_result(answer)
