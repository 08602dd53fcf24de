"""Lines that misbehave on order: between board and gateway (TCP), and on the board's console.

Knows bytes and chance, no protocol. A line that was given no order passes every byte at once.
"""

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable

from clsbench.hil.ptys import Pty, read_some

DELAY, DUPLICATE, REORDER, CORRUPT, DROP = "delay", "duplicate", "reorder", "corrupt", "drop"
MODES = (DELAY, DUPLICATE, REORDER, CORRUPT, DROP)
LONGEST_DELAY_S = 0.4
CTRL_C = 3  # stops a program at once, as it should: not made by chance


class Mangler:
    """What happens to each chunk of bytes while `mode` is set; `done` counts it by mode."""

    def __init__(self, chance: random.Random):
        self.mode: str | None = None
        self.done: Counter[str] = Counter()
        self._chance = chance

    def change(self, data: bytes) -> bytes:
        """The chunk as it goes on."""
        if self.mode is None or self.mode == DELAY or not data:
            return data
        self.done[self.mode] += 1
        if self.mode == DUPLICATE:
            return data + data
        if self.mode == DROP:
            return b""
        if self.mode == REORDER:
            cut = self._chance.randrange(len(data))
            return data[cut:] + data[:cut]
        changed = bytearray(data)
        at = self._chance.randrange(len(changed))
        flipped = changed[at] ^ 1 << self._chance.randrange(8)
        changed[at] = changed[at] ^ 0xFF if flipped == CTRL_C else flipped
        return bytes(changed)

    def delay_s(self) -> float:
        """How long this chunk is held back."""
        if self.mode != DELAY:
            return 0.0
        self.done[DELAY] += 1
        return self._chance.uniform(0.02, LONGEST_DELAY_S)


class BadTcpLine:
    """A port on loopback that passes connections on to `target()`, a port there; 0: nobody."""

    def __init__(self, target: Callable[[], int], chance: random.Random):
        self.mangler = Mangler(chance)
        self.port = 0
        self._target = target
        self._cut = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Opens the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Ends every connection and the port."""
        self.cut()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Breaks every connection, and each new one until `mend`."""
        self._cut = True
        for writer in list(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        """Connections pass again, unchanged."""
        self._cut = False
        self.mangler.mode = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if not self._cut:
                await self._join(reader, writer)
        except OSError:
            pass  # the gateway is away: so is the line
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self._target()
        if not port:
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        self._writers.add(far_writer)
        tasks = {
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        }
        self._tasks |= tasks
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks -= tasks
            far_writer.transport.abort()
            self._writers.discard(far_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            if pause_s := self.mangler.delay_s():
                await asyncio.sleep(pause_s)
            writer.write(self.mangler.change(data))
            await writer.drain()


class BadConsole:
    """A pty that passes bytes on to the console at `board_path`; `path` is what a host opens."""

    def __init__(self, board_path: str, chance: random.Random):
        self.mangler = Mangler(chance)
        self._host = Pty()
        self._board = os.open(board_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._host.master, self._carry, self._host.master, self._board)
        self._loop.add_reader(self._board, self._carry, self._board, self._host.master)

    @property
    def path(self) -> str:
        """The host's end."""
        return self._host.path

    def close(self) -> None:
        """Gives both ends back."""
        self._loop.remove_reader(self._host.master)
        self._loop.remove_reader(self._board)
        os.close(self._board)
        self._host.close()

    def _carry(self, source: int, sink: int) -> None:
        data = read_some(source)
        if not data:
            return
        pause_s = self.mangler.delay_s()
        self._loop.call_later(pause_s, _put, sink, self.mangler.change(data))


def _put(sink: int, data: bytes) -> None:
    with contextlib.suppress(OSError):  # full, or closed: a line loses bytes
        os.write(sink, data)
