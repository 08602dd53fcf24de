"""Keeps the gateway's legal time: asks the administrator's time server over TLS.

One request at a time, never two within a minute of bench time; what must not set the clock is
ignored and told. Knows packets by `core.ntp` and the clock by `core.clock_state`.
Source: BSI Detailspezifikationen 2.0 chapter 14.
"""

import asyncio
import secrets
import ssl
from collections.abc import Callable

from clsbench.errors import PeerRefused, PeerSilent
from clsbench.net.listener import open_tls_streams
from clsbench.net.reverse import MAX_SESSION_S
from clsbench.smgw.clock import GatewayClock
from clsbench.smgw.config_wan import TimeSection
from clsbench.smgw.core import ntp
from clsbench.smgw.core.clock_state import DOUBTED, SET, STEPPED, UNSET, Learned
from clsbench.smgw.core.ntp import AnswerIgnored
from clsbench.smgw.journal import FAILURE, INFO, SMGW, SUCCESS, WARNING, Journal
from clsbench.smgw.wan.channels import Backoff

ANSWER_WITHIN_S = 10.0  # real seconds; nine seconds of the clock are the rule's, not this
MAX_STRAY = 8  # answers to other requests that are read past
TOLD = (SET, STEPPED, DOUBTED)
NAP_S = 0.5  # real seconds between two looks at the state


class TimeSync:
    """One gateway's client. jumped(): called when the clock was set, or set anew."""

    def __init__(
        self,
        section: TimeSection,
        gwa: str,
        context: ssl.SSLContext,
        clock: GatewayClock,
        journal: Journal,
        retry_max_s: float,
        jumped: Callable[[], None],
    ):
        self.ignored: dict[str, int] = {}  # reason -> answers left alone
        self._section = section
        self._gwa = gwa
        self._context = context
        self._clock = clock
        self._journal = journal
        self._backoff = Backoff(retry_max_s)
        self._jumped = jumped
        self._next_ns: int | None = None  # of the oscillator: no request before
        self._state = UNSET
        self._last_problem = ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._opened_s = 0.0

    async def run(self) -> None:
        """Keeps time for ever."""
        try:
            while True:
                self.look()
                if self._next_ns is None or self._clock.oscillator_ns() >= self._next_ns:
                    await self._ask()
                await asyncio.sleep(self._nap_s())
        finally:
            self._hang_up()

    def look(self) -> None:
        """Tells of a state that is new."""
        found = self._clock.time_state()
        if found.state == self._state:
            return
        before, self._state = self._state, found.state
        detail = {"state": found.state, "bound_ms": found.bound_ms, "before": before}
        good = found.valid
        self._journal.event(SMGW, SMGW, "state", "time.state", ok=good, detail=detail)
        level, outcome = (INFO, SUCCESS) if good else (WARNING, FAILURE)
        message = f"legal time {found.state}, off by at most {found.bound_ms} ms"
        self._journal.calibration("time.state", SMGW, message, level, outcome)

    async def _ask(self) -> None:
        try:
            reader, writer = await self._connected()
            self._next_ns = self._clock.oscillator_ns() + self._section.poll_s * 10**9
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._exchange(reader, writer)
        except AnswerIgnored as ignored:
            self.ignored[ignored.reason] = self.ignored.get(ignored.reason, 0) + 1
            self._problem("time.ignored", f"answer ignored ({ignored.reason}): {ignored}")
            return
        except (PeerRefused, PeerSilent, OSError, EOFError) as error:  # TimeoutError is an OSError
            self._hang_up()
            self._problem("time.failed", f"time server: {error or 'no answer in time'}")
            await self._backoff.pause()
            return
        self._backoff.reset()
        self._last_problem = ""

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stamp = secrets.randbits(64) | 1
        sent_ns = self._clock.oscillator_ns()
        writer.write(ntp.request(stamp))
        await writer.drain()
        for stray in range(MAX_STRAY):
            data = await reader.readexactly(ntp.PACKET_BYTES)
            received_ns = self._clock.oscillator_ns()
            try:
                sample = ntp.read_answer(data, stamp, sent_ns, received_ns)
            except AnswerIgnored as ignored:
                if ignored.reason != ntp.ORIGIN or stray == MAX_STRAY - 1:
                    raise
                self.ignored[ntp.ORIGIN] = self.ignored.get(ntp.ORIGIN, 0) + 1
                self._problem("time.ignored", f"answer ignored ({ignored.reason}): {ignored}")
                continue
            self._learned(self._clock.legal.learn(sample), data)
            return

    def _learned(self, learned: Learned, data: bytes) -> None:
        state = self._clock.time_state()
        detail = {
            "outcome": learned.outcome,
            "correction_ms": round(learned.correction_ns / 1e6, 3),
            "state": state.state,
            "bound_ms": state.bound_ms,
        }
        if learned.outcome in TOLD:  # the others come every minute and move it by nothing to see
            self._journal.event("GWA", SMGW, "message", "time.answer", detail=detail, raw=data)
        if learned.outcome in (SET, STEPPED):
            moved = f"clock {learned.outcome}, moved by {learned.correction_ns / 1e9:.3f} s"
            self._journal.calibration("time.set", self._gwa, moved)
            self._jumped()
        self.look()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        now_s = asyncio.get_running_loop().time()
        if self._streams is not None:
            reader, writer = self._streams
            alive = not (reader.at_eof() or writer.is_closing())
            if alive and now_s - self._opened_s < MAX_SESSION_S:
                return self._streams
            self._hang_up()
        section = self._section
        self._streams = await open_tls_streams(
            section.host, section.port, self._context, "GWA", self._gwa
        )
        self._opened_s = now_s
        detail = {"address": f"{section.host}:{section.port}"}
        self._journal.event(SMGW, "GWA", "state", "time.open", detail=detail)
        return self._streams

    def _hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    def _nap_s(self) -> float:
        if self._next_ns is None:
            return 0.0
        left_ns = self._next_ns - self._clock.oscillator_ns()
        return min(NAP_S, max(0.0, left_ns / 1e9 / self._clock.speed))

    def _problem(self, event: str, reason: str) -> None:
        if reason == self._last_problem:
            return  # the same over and over is told once
        self._last_problem = reason
        self._journal.refused("GWA", event, self._gwa, reason)
