"""Between device and gateway: announcements, records out, commands in (time: app.time_task).

Two tasks, each with a connection of its own, so that the long poll for commands never
holds up an announcement.
"""

import asyncio

from dicamm import codes
from dicamm.app.records import event_fields
from dicamm.control.command import Answer, parse, uuid_from_text
from dicamm.link.han import HanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BATCH = 6
COMMAND_WAIT_MS = 15000
BACKOFF_MS = (100, 200, 500, 1000, 2000, 5000)  # real time


class Backoff:
    """Pauses that grow with each failure in a row; half of each is chance, which keeps a fleet
    apart. jitter: function that gives a random byte."""

    def __init__(self, jitter):
        self._jitter = jitter
        self._failures = 0

    def reset(self):
        """After a success."""
        self._failures = 0

    async def pause(self):
        """Sleeps the next pause."""
        base = BACKOFF_MS[min(self._failures, len(BACKOFF_MS) - 1)]
        self._failures += 1
        await asyncio.sleep_ms(base // 2 + base * self._jitter() // 512)


class Delivery:
    """Announces events oldest first, delivers records until acknowledged.

    Oldest first, each once, then again what the gateway says it lacks: also what it had
    acknowledged, as long as the journal holds it. A record that the gateway refuses stays
    unacknowledged and does not hold up those behind it. utc_ms: function that gives legal time,
    None while it is not known.
    """

    def __init__(self, client, journal, mac0, utc_ms, log, jitter):
        self._client = client
        self._journal = journal
        self._mac0 = mac0
        self._utc_ms = utc_ms
        self._log = log
        self._backoff = Backoff(jitter)
        self._work = asyncio.Event()
        self.signer: "Any" = None  # proto.cose_sign1.Sign1, where records are to be signed
        self._last_code = 0
        self._sent = 0  # highest number the gateway has had since the start
        self._lacking = None  # (from, to) that it asks for again
        self._from = 1  # all from here on are in the journal

    def wake(self):
        """A record was made: do not wait for the next round."""
        self._work.set()

    async def run(self, alive):
        """Never ends; `alive()` is called once a round."""
        while True:
            alive()
            try:
                busy = await self._round()
                self._backoff.reset()
                self._last_code = 0
            except HanError as error:
                self._note(error)
                await self._backoff.pause()
                continue
            if not busy:
                await self._nap()

    async def _round(self):
        if await self._announce():
            return True
        return await self._deliver()

    async def _announce(self):
        seq = self._journal.unannounced()
        if not seq:
            return False
        fields = event_fields(self._mac0, self._journal.read(seq))
        if fields["event_ms"] is None:  # recorded while time was unset
            fields["event_ms"] = self._utc_ms()
            if fields["event_ms"] is None:
                return False
        try:
            gateway_seq = await self._client.announce(fields)
        except HanError as error:
            if error.code != codes.HAN_REFUSED or error.status not in (403, 409, 422):
                raise
            # the gateway will never take it: recorded here, delivered as a device record
            self._log.write(codes.ANNOUNCEMENT_REFUSED, seq, error.status)
            self._journal.announced(seq)
            return True
        self._journal.announced(seq)
        self._log.write(codes.ANNOUNCED, seq, gateway_seq)
        return True

    async def _deliver(self):
        numbers = self._due()
        batch = []
        for seq in numbers:
            sealed = self._journal.read(seq)
            if sealed is None:
                self._from = seq + 1  # gone, or not to be read: the gateway need not wait for it
            else:
                batch.append(sealed if self.signer is None else await self._signed(sealed))
        if not batch:
            if numbers and self._lacking is None:
                self._sent = numbers[-1]
            self._lacking = None
            return False
        self._from = max(self._from, self._journal.oldest)
        try:
            acknowledged, self._lacking = await self._client.deliver(batch, self._from)
        except HanError as error:
            self._lacking = None
            if error.status in (409, 422):
                self._sent = max(self._sent, numbers[-1])
            raise
        self._sent = max(self._sent, numbers[-1])
        self._journal.acknowledge(min(acknowledged, self._sent))  # nobody has more than was sent
        return True

    async def _signed(self, sealed):
        """The record in its signature, made in small steps: a relay may want to switch."""
        found = []
        for _ in self.signer.steps(sealed, found):
            await asyncio.sleep_ms(0)
        return found[0]

    def _due(self):
        """The numbers to be sent next: what the gateway asked for, else what it never had."""
        journal = self._journal
        if self._lacking is not None:
            first, last = self._lacking
        else:
            pending = journal.pending(1)
            if not pending:
                return ()
            first, last = max(pending[0], self._sent + 1), journal.newest
        first = max(first, journal.oldest)
        return range(first, min(last, journal.newest, first + BATCH - 1) + 1)

    async def _nap(self):
        try:
            await asyncio.wait_for_ms(self._work.wait(), 1000)
        except asyncio.TimeoutError:
            pass
        self._work.clear()

    def _note(self, error):
        if error.code != self._last_code:  # once, not with every attempt
            self._last_code = error.code
            self._log.write(error.code, error.status)


class CommandPoll:
    """Fetches commands for this CLS and answers them."""

    def __init__(self, client, controller, log, jitter):
        self._client = client
        self._controller = controller
        self._log = log
        self._backoff = Backoff(jitter)
        self._last_code = 0

    async def run(self, alive):
        """Never ends; `alive()` is called once a round."""
        while True:
            alive()
            try:
                command = await self._client.next_command(COMMAND_WAIT_MS)
                if command is not None:
                    await self._serve(command)
                self._backoff.reset()
                self._last_code = 0
            except HanError as error:
                if error.code != self._last_code:
                    self._last_code = error.code
                    self._log.write(error.code, error.status)
                await self._backoff.pause()

    async def _serve(self, fields):
        command_id = fields.get("id")
        if uuid_from_text(command_id) is None:
            raise HanError(codes.HAN_CONTENT)
        command, code = parse(
            fields.get("action"),
            uuid_from_text(fields.get("uuid")),
            fields.get("text"),
            fields.get("event_ms"),
            fields.get("limit_w"),
            fields.get("duration_s"),
        )
        if code:
            self._log.write(code)
            answer = Answer(code)
        else:
            answer = await self._controller.command(command)
        await self._client.answer_command(command_id, answer.code, answer.seq, answer.text)
