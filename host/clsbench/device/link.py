"""The host's end of the bench link: requests to a DICAMM over its console, answers, log, records.

Works on any serial port name pyserial understands: a pty of the unix board, /dev/ttyACM0,
rfc2217:// and socket:// URLs. One request at a time; console text and log entries that
arrive meanwhile go to the listeners.
"""

import asyncio
import contextlib
import itertools
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import cbor2
import serial

from clsbench.device.ports import open_port
from clsbench.errors import PeerRefused, PeerSilent
from dicamm.proto import link_frame

HELLO, TIME, COMMAND, ANSWER, RECORD, ACKNOWLEDGE, STATUS, LOG = range(1, 9)
RECORDS, HAND_OVER, LOGS, DETACH = 10, 11, 12, 13
_BATCH = 32
_FIELDS = {
    HELLO: {1, 2},
    ANSWER: {1, 2, 3, 4},
    RECORD: {2, 3},
    STATUS: {1, 2},
    LOG: {2, 3, 4},
}


class LinkClient:
    """An open bench link. Make it with `await LinkClient.open(port)`; close it with `close()`.

    on_log(mono_ms, code, arguments): each log entry of the device; on_text(line): console text.
    """

    def __init__(self, port: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.port = port
        self.on_log: Callable[[int, int, list[Any]], None] | None = None
        self.on_text: Callable[[str], None] | None = None
        self._reader = reader
        self._writer = writer
        self._receiver = link_frame.LinkReceiver()
        # not from 1: an answer to a program that ended early may still be on its way
        self._numbers = itertools.count(1 + secrets.randbelow(2**29))
        self._lock = asyncio.Lock()
        self._waiting: tuple[int, asyncio.Future[dict[int, Any]]] | None = None
        self._records: list[tuple[int, bytes]] = []
        self._logs: list[tuple[int, int, list[Any]]] = []
        self._console: deque[str] = deque(maxlen=12)
        self._attached = False  # the device sends its log unasked
        self._task = asyncio.create_task(self._receive())

    @classmethod
    async def open(cls, port: str, baud: int = 115200) -> "LinkClient":
        """Opens the port. Raises EnvironmentProblem when it cannot be opened."""
        return cls(port, *await open_port(port, baud))

    async def close(self) -> None:
        """Tells the device that nobody listens any more and closes the port; pending requests
        fail."""
        if self._attached and not self._task.done() and not self._lock.locked():
            # answered, so that no byte of it is left for the REPL when Ctrl-C comes next
            with contextlib.suppress(PeerSilent):
                await self.request({0: DETACH}, timeout_s=0.3, tries=1)
        self._task.cancel()
        self._writer.close()
        await asyncio.gather(self._task, return_exceptions=True)

    async def hello(self, timeout_s: float = 2.0, tries: int = 5) -> dict[str, Any]:
        """Who is there: device_id, cls_id, meter_id, version, board, protocol, mono_ms."""
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
            self._records.clear()
            await self._ask({0: RECORDS, 2: first, 3: _BATCH}, timeout_s=10.0)
            batch = dict(self._records)  # a repeated request brings records twice
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
        self._records.clear()
        message: dict[int, Any] = {0: ACKNOWLEDGE, 2: seq}
        if lacking:
            message[3] = [list(run) for run in lacking]
        answer = await self._ask(message, timeout_s=10.0)
        return answer[3], sorted(dict(self._records).items())

    async def logs(self) -> list[tuple[int, int, list[Any]]]:
        """The log entries the device still holds: (mono_ms, code, arguments), oldest first."""
        self._logs.clear()
        await self._ask({0: LOGS})
        # an entry written just before is there twice: sent by itself, and in the list
        unique = {(entry[0], entry[1], repr(entry[2])): entry for entry in self._logs}
        return sorted(unique.values(), key=lambda entry: entry[0])

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
        self._writer.write(link_frame.encode(cbor2.dumps(message, canonical=True)))

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
            self._waiting = (number, future)
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
                + "".join(f"\n  console: {line}" for line in self._console)
            )

    async def _receive(self) -> None:
        while True:
            try:
                data = await asyncio.wait_for(self._reader.read(4096), 0.25)
            except TimeoutError:
                self._receiver.flush()
            except (OSError, serial.SerialException):
                return
            else:
                if not data:
                    return
                self._receiver.feed(data)
            while (event := self._receiver.next_event()) is not None:
                self._take(event)

    def _take_text(self, line: str) -> None:
        if line:
            self._console.append(line)
            if self.on_text is not None:
                self.on_text(line)

    def _take(self, event: Any) -> None:
        if event.kind == link_frame.LOG:
            self._take_text(event.data.decode(errors="replace").rstrip())
        if event.kind != link_frame.FRAME:
            return
        message = _message(event.data)
        if message is None:
            self._receiver.discarded["cbor"] = self._receiver.discarded.get("cbor", 0) + 1
            return
        kind = message[0]
        if kind == RECORD:
            self._records.append((message[2], message[3]))
        elif kind == LOG:
            self._logs.append((message[2], message[3], message[4]))
            if self.on_log is not None:
                self.on_log(message[2], message[3], message[4])
        elif self._waiting is not None and message[1] == self._waiting[0]:
            future = self._waiting[1]
            if not future.done():
                future.set_result(message)


def _message(payload: bytes) -> dict[int, Any] | None:
    """A message of the device, or None where the bytes are none (docs/wire.cddl)."""
    try:
        message = cbor2.loads(payload)
    except (cbor2.CBORError, ValueError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get(0), int):
        return None
    fields = _FIELDS.get(message[0])
    return message if fields is not None and fields <= message.keys() else None
