"""Asks the meters of a wired LMN bus, each within a TLS session of its own.

The gateway is TLS client; meter and gateway know each other's self-signed certificate. A session
lasts 31 days at most. Knows sessions and requests; frames are `hdlc_line`'s, readings `reader`'s.
Source: BSI Detailspezifikationen 2.0 chapters 8 and 9; TR-03116-3 (duration of a session).
"""

import asyncio
import ssl
from dataclasses import dataclass

from clsbench.clock import BenchClock
from clsbench.net.framed_tls import FramedTls
from clsbench.smgw.journal import FAILURE, SMGW, WARNING, Journal
from clsbench.smgw.lmn.hdlc_line import HdlcLink, LinkLost
from clsbench.smgw.lmn.line import LineReader, OnReading
from clsbench.smgw.lmn.patience import Patience
from clsbench.smgw.lmn.reader import MeterAsker
from dicamm.proto.sml import FRAME, SmlReceiver

MAX_SESSION_S = 31 * 86_400
ANSWER_S = 10.0  # from a request to its whole answer, and for a handshake
_MAX_ANSWER = 0xFFFF


@dataclass(slots=True)
class Pinned:
    """A meter on the bus: who asks for it, its station, and what it and the gateway show."""

    asker: MeterAsker
    address: int
    context: ssl.SSLContext


class HdlcTlsReader(LineReader):
    """All meters of one bus."""

    def __init__(
        self,
        meters: list[Pinned],
        port: str,
        baud: int,
        clock: BenchClock,
        journal: Journal,
        on_reading: OnReading,
        pull_s: float,
    ):
        keys = tuple(meter.asker.key for meter in meters)
        super().__init__(port, baud, keys, clock, journal, on_reading)
        self._sessions = [_Session(meter, baud, clock) for meter in meters]
        self._pull_s = pull_s
        for meter in meters:
            meter.asker.last = self.last  # one list of what was read last

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        for session in self._sessions:
            session.end()
        while not reader.at_eof():
            begun = loop.time()
            for session in self._sessions:
                if session.patience.due(loop.time()):
                    await self._ask(session, reader, writer)
            again = begun + self._pull_s
            await self._pause(min(session.patience.next_s(again) for session in self._sessions))

    async def _ask(
        self,
        session: "_Session",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        key, fresh = session.meter.asker.key, not session.open
        try:
            async with asyncio.timeout(ANSWER_S):
                if fresh:
                    await session.begin(reader, writer)
                    self._tell_session(key, session)
                await session.ask()
            session.patience.answered()
            session.refused = ""
        except (LinkLost, TimeoutError) as lost:
            session.fail()
            self._count(f"meter {key}: HDLC: {lost or 'no whole answer'}")
        except ssl.SSLError as error:
            session.fail()
            reason = f"TLS: {error.reason or error}"
            self._count(f"meter {key}: {reason}")
            if reason != session.refused:  # the same over and over is logged once
                session.refused = reason
                self._journal.calibration("lmn.refused", key, reason, WARNING, FAILURE)

    def _tell_session(self, key: str, session: "_Session") -> None:
        detail = {"port": self.port, "meter": key, "cipher": session.cipher}
        self._journal.event("meter", SMGW, "state", "lmn.session", detail=detail)


class _Session:
    """The TLS session with one meter. refused: why TLS failed last, "" since an answer."""

    def __init__(self, meter: Pinned, baud: int, clock: BenchClock):
        self.meter = meter
        self.cipher = ""
        self.refused = ""
        self.patience = Patience()
        self._link = HdlcLink(meter.address, baud, clock)
        self._tls: FramedTls | None = None
        self._begun = 0.0

    @property
    def open(self) -> bool:
        """Whether there is one that may still be used."""
        age_s = asyncio.get_running_loop().time() - self._begun
        return self._tls is not None and age_s < MAX_SESSION_S

    def end(self) -> None:
        """It is not used any more."""
        self._tls = None

    def fail(self) -> None:
        """It is over, and the meter is left alone for a while."""
        self.end()
        self.patience.failed(asyncio.get_running_loop().time())

    async def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connects and shakes hands. Raises LinkLost, ssl.SSLError."""
        self._tls = None
        await self._link.connect(reader, writer)
        tls = FramedTls(self.meter.context, server=False)
        tls.shake_hands()
        await self._send(tls)
        while not tls.established:
            information, _ = await self._link.receive()
            try:
                tls.feed(information)
            finally:
                await self._send(tls)  # an alert, too
        self.cipher = tls.cipher()
        self._tls, self._begun = tls, asyncio.get_running_loop().time()

    async def ask(self) -> None:
        """One request and its answer, given to the asker. Raises LinkLost, ssl.SSLError."""
        tls, asker = self._tls, self.meter.asker
        assert tls is not None
        tls.write(asker.request())
        await self._send(tls)
        receiver, answer, captured_ms = SmlReceiver(_MAX_ANSWER), b"", 0
        while True:
            information, arrived_ms = await self._link.receive()
            plain = tls.feed(information)
            captured_ms = captured_ms or (arrived_ms if plain else 0)
            answer += plain
            receiver.feed(plain)
            while (event := receiver.next_event()) is not None:
                if event.kind == FRAME:
                    asker.take(event.data, captured_ms, answer)
                    return
            if len(answer) > _MAX_ANSWER:
                raise LinkLost("answer too long")

    async def _send(self, tls: FramedTls) -> None:
        for information in tls.frames():
            await self._link.send(information)
