"""Frames to and from one meter on the wired LMN's bus: the gateway is the primary station.

Knows HDLC and the time an answer may take; what the information fields carry is `hdlc_tls`'.
Source: BSI Detailspezifikationen 2.0 chapter 8 (normal response mode, window 1); ISO/IEC 13239.
"""

import asyncio

from clsbench.clock import BenchClock
from clsbench.net.lmn_bus import GATEWAY, station
from clsbench.smgw.lmn.line import READ_BYTES, Stream
from dicamm.proto import hdlc
from dicamm.proto.hdlc_station import CONNECTED, DATA, HdlcPrimary

ANSWER_S = 0.25  # to the end of a frame, besides the time its bytes take
IDLE_S = 0.01  # between two polls of a meter that has nothing yet
_BITS = 10


class LinkLost(Exception):
    """The meter does not answer, or has ended the connection; the text is the reason."""


class HdlcLink:
    """The connection to one meter. received: (information, UTC ms of its frame's first byte)."""

    def __init__(self, address: int, baud: int, clock: BenchClock):
        self.received: list[tuple[bytes, int]] = []
        self._primary = HdlcPrimary(GATEWAY, station(address))
        self._baud = baud
        self._clock = clock

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both sides count anew. Raises LinkLost."""
        self._line = reader, writer
        self.received = []
        if await self._exchange(self._primary.connect()) != CONNECTED:
            raise LinkLost("no connection")

    async def send(self, information: bytes) -> None:
        """Sends one information field, and sees it taken. Raises LinkLost."""
        await self._exchange(self._primary.send(information))
        while self._primary.waiting:
            await self._exchange(self._primary.poll())

    async def receive(self) -> tuple[bytes, int]:
        """The oldest information field received; polls until there is one. Raises LinkLost."""
        while not self.received:
            if await self._exchange(self._primary.poll()) != DATA:
                await asyncio.sleep(IDLE_S)
        return self.received.pop(0)

    async def _exchange(self, frame: hdlc.HdlcFrame | None) -> int:
        """Sends a frame until it is answered; what the answer says."""
        while frame is not None:
            news = await self._once(hdlc.encode(frame))
            if news is not None:
                if not self._primary.connected:
                    raise LinkLost("connection ended by the meter")
                return news
            frame = self._primary.timeout()
        raise LinkLost("no answer")

    async def _once(self, data: bytes) -> int | None:
        """News of the answer to one frame; None: none came."""
        reader, writer = self._line
        writer.write(data)
        receiver, stream = hdlc.HdlcReceiver(), Stream(2 * (hdlc.MAX_INFORMATION + 16))
        longest_s = (len(data) + hdlc.MAX_INFORMATION + 16) * _BITS / self._baud
        try:
            async with asyncio.timeout(ANSWER_S + longest_s):
                while True:
                    heard = await reader.read(READ_BYTES)
                    if not heard:
                        raise OSError("line closed")
                    stream.add(heard, self._clock.now_ms())
                    receiver.feed(heard)
                    while (event := receiver.next_event()) is not None:
                        if event.kind == hdlc.FRAME and event.data.destination == GATEWAY:
                            return self._take(event.data, stream.arrived_ms(event.offset))
        except TimeoutError:
            return None

    def _take(self, frame: hdlc.HdlcFrame, arrived_ms: int) -> int:
        news = self._primary.receive(frame)
        if news == DATA:
            self.received.append((self._primary.information, arrived_ms))
        return news
