"""Carries out switching commands: relay first, then the reading, then the record, then the answer.

The relay never waits for the bus. A command is answered when its record is on flash, and a
repeated one gets the first answer again, also after a restart, as long as its record is among the
newest `answered.REMEMBERED` events and still in the journal.
"""

import asyncio
import os

from dicamm import codes
from dicamm.app.log import nobody
from dicamm.control.answered import Answered
from dicamm.control.command import Answer
from dicamm.metering import record
from dicamm.metering.reading import taken
from dicamm.store.journal import JournalFull

TIME_PATIENCE_US = 30000000  # so long after the start events wait for legal time (real time)
ONCE_MS = 900000  # an event outside a transaction is recorded again after so long at the earliest
SPARE = 8  # slots that such events and refusals leave to transactions


class _Owed:
    """An event whose record is to be made: uuid None: one of its own."""

    def __init__(self, event, uuid, text="", event_ms=None, cause=0):
        self.event = event
        self.uuid = uuid
        self.text = text
        self.event_ms = event_ms
        self.cause = cause


class Controller:
    """One transaction at a time.

    `recover` finds what a power cut left open. `on_record` is called after each record of an
    event, so that delivery need not wait for its next round. `watch_input` adds an alarm input.
    """

    def __init__(self, interlock, meter, recorder, journal, legal_time, clock, log, led):
        self._interlock = interlock
        self._meter = meter
        self._recorder = recorder
        self._journal = journal
        self._time = legal_time
        self._clock = clock
        self._log = log
        self._led = led
        self._lock = asyncio.Lock()
        self._answered = Answered()
        self.open_uuid = None
        self._end_owed = None  # relay is open, the end reading is owed
        self.rated_w = 0  # power of the load, 0: not known
        self._limit = None  # a control.limit.Limit that binds the open transaction
        self._owed = []  # events outside a transaction
        self._noted_ms = {}  # event -> when it was last noted
        self._inputs = []  # [event, function that tells whether the input is active, was it]
        self.on_record = nobody
        meter.on_change = self._meter_changed

    # -- start

    def recover(self, events):
        """Takes the journal's TAF16 records, oldest first, as (seq, uuid, event)."""
        for seq, uuid, event in events:
            self._answered.add(uuid, event, seq)
            if event == record.BEGIN:
                self.open_uuid = uuid
            elif event in record.ENDS and uuid == self.open_uuid:
                self.open_uuid = None
        if self.open_uuid is not None:
            self._log.write(codes.POWER_FAIL_FOUND)
            self._owe_end(record.POWER_FAIL, "", None, codes.POWER_FAIL_FOUND)
        elif not events or events[-1][0] != self._journal.newest or events[-1][2] != record.BOOT:
            self._note(record.BOOT)  # once, however often it starts with nothing in between

    async def event(self, event, text):
        """Records an event outside a transaction at once; returns an Answer."""
        return await self._pay_other(_Owed(event, None, text))

    def watch_input(self, event, is_active):
        """While `is_active()` is true the relay stays open; `event` is recorded when it begins."""
        self._inputs.append([event, is_active, False])

    # -- commands

    async def command(self, command):
        """Carries out a `control.command.Command`; returns an Answer."""
        if command.action == record.END and command.uuid == self.open_uuid:
            self._owe_end(record.END, command.text, command.event_ms, 0)  # opens, whatever waits
        async with self._lock:
            answer = self._known(command)
            if answer is None and command.action == record.BEGIN:
                answer = await self._begin(command)
            elif answer is None and command.action == record.CHANGE:
                answer = await self._change(command)
            elif answer is None:
                answer = await self._end(command)
        # a refusal's reading is taken outside the lock: the next command must not wait for it
        return await self._refuse(command, *answer) if isinstance(answer, tuple) else answer

    # these three return an Answer, or (code, text) of a refusal

    async def _begin(self, command):
        if not self._meter.known:
            await self._meter.read_event()  # just started: the first reading decides, not none
        code = self._obstacle()
        if code:
            return code, ""
        if not self._interlock.close():
            locked = ", ".join(self._interlock.locked())
            return codes.INTERLOCKED, locked
        reading, error = await self._meter.read_event()
        if error:
            self._interlock.open()
            return error, "meter gave no reading, relay opened again"
        if not self._interlock.is_closed():
            # a fault opened it while the meter was read: nothing was begun
            return codes.INTERLOCKED, "relay opened by a fault"
        answer = self._record(command, record.BEGIN, reading)
        if answer.code:
            self._interlock.open()
        else:
            self.open_uuid = command.uuid
            self._led.show(True)
        return answer

    async def _change(self, command):
        """A limit changes in the open transaction; the command's own UUID may name the event."""
        if self.open_uuid is None or self._end_owed is not None:
            return codes.NOT_OPEN, ""
        if command.duration_s:
            self._bind(command)
        reading, error = await self._meter.read_event()
        if error:
            return error, "meter gave no reading"
        return self._record(command, record.CHANGE, reading)

    def _bind(self, command):
        """A limit takes the place of the one before, if any; the relay follows at once."""
        from dicamm.control.limit import Limit

        limit = Limit(command.limit_w, command.duration_s, self.rated_w, self._clock.mono_ms())
        command.text = command.text or limit.text
        if limit.opens:
            self._interlock.open()
        elif self._limit is not None:
            self._interlock.close()  # where nothing locks it
        self._limit = limit

    async def _unbind(self):
        """The limit is over: closed again if the transaction is open and nothing is wrong."""
        self._limit = None
        if self._meter.healthy:
            self._interlock.close()
        self._log.write(codes.LIMIT_OVER)
        reading, _ = await self._meter.read_event()
        if self.open_uuid is not None:  # nothing ended it meanwhile
            over = _Owed(record.CHANGE, _own_uuid(), "limit over")
            self._record(over, record.CHANGE, reading, codes.LIMIT_OVER)

    async def _end(self, command):
        if self.open_uuid != command.uuid:
            return codes.NOT_OPEN, ""
        if self._end_owed is None:
            self._owe_end(record.END, command.text, command.event_ms, 0)
        answer = await self._pay(self._end_owed)
        if answer.code:
            answer.text = "relay open, the end record follows when the meter answers"
        return answer

    async def _refuse(self, command, code, text):
        """Records that the command was refused, with a reading where the meter gives one."""
        self._log.write(code)
        seq = self._find(command.uuid, record.REFUSED)
        if seq or not self._spare():
            return Answer(code, seq or None, text)
        reading = None
        if not codes.without_reading(code):
            reading, _ = await self._meter.read_event()
            seq = self._find(command.uuid, record.REFUSED)
            if seq:  # by a repeat that came meanwhile
                return Answer(code, seq, text)
        answer = self._record(command, record.REFUSED, reading, code)
        return Answer(code, answer.seq, text)

    def _obstacle(self):
        if self.open_uuid is not None:
            return codes.OTHER_OPEN
        if not self._meter.healthy:
            return codes.METER_UNHEALTHY
        if not self._journal.room():
            return codes.JOURNAL_FULL
        return 0

    def _known(self, command):
        """The first answer to a repeated command, or None for a new one."""
        seq = self._find(command.uuid, command.action)
        if seq:
            return Answer(0, seq, "already done")
        seq = 0 if command.uuid == self.open_uuid else self._find(command.uuid, record.REFUSED)
        if seq:
            cause = self._recorder.fields(seq).get(record.CAUSE, 0)
            # NOT_OPEN was the answer to an end, which does not bar a begin that came late
            if command.action != record.BEGIN or cause != codes.NOT_OPEN:
                return Answer(cause, seq, "already refused")
        return None

    def _find(self, uuid, event):
        """Number of the record of this UUID and kind of event, or 0."""
        seq = self._answered.find(uuid, event)
        fields = self._recorder.fields(seq) if seq else None
        return seq if fields is not None and fields.get(record.UUID) == uuid else 0

    # -- events that nobody commanded

    def _meter_changed(self, healthy):
        if not healthy:
            self._note(record.METER_FAULT, self._meter.error)
            if self.open_uuid is not None:
                self._owe_end(record.FAILSAFE, "meter silent", None, codes.METER_LOST)

    def fail_safe(self, text):
        """Opens the relay now and ends an open transaction as failsafe."""
        self._interlock.open()
        if self.open_uuid is not None:
            self._owe_end(record.FAILSAFE, text, None, codes.TASK_RESTARTED)

    def _watch_inputs(self):
        for item in self._inputs:
            event, is_active, was = item
            active = is_active()
            if active == was:
                continue
            item[2] = active
            name = record.EVENT_NAMES[event]
            self._log.write(codes.INPUT_ACTIVE if active else codes.INPUT_QUIET, event)
            if not active:
                self._interlock.release(name)
                continue
            self._interlock.lock(name)
            if self.open_uuid is not None:
                self._owe_end(event, "", None, codes.INPUT_ACTIVE)
            else:
                self._note(event, codes.INPUT_ACTIVE)

    def _owe_end(self, event, text, event_ms, cause):
        self._interlock.open()
        self._limit = None
        if self._end_owed is None:
            self._end_owed = _Owed(event, self.open_uuid, text, event_ms, cause)

    def _note(self, event, cause=0):
        """An event outside a transaction: recorded with the next look, but not all the time."""
        now_ms = self._clock.mono_ms()
        last_ms = self._noted_ms.get(event)
        if last_ms is None or now_ms - last_ms >= ONCE_MS:
            self._noted_ms[event] = now_ms
            self._owed.append(_Owed(event, None, "", None, cause))

    async def run(self, alive):
        """Looks at the inputs; pays owed records as soon as meter and time allow."""
        while True:
            alive()
            self._watch_inputs()
            if self._end_owed is not None and self._meter.healthy and self._time_known():
                async with self._lock:
                    await self._pay(self._end_owed)
            if self._limit is not None and self._clock.mono_ms() >= self._limit.until_ms:
                async with self._lock:
                    if self._limit is not None:
                        await self._unbind()
            if self._owed and self._ripe(self._owed[0]):
                await self._pay_other(self._owed.pop(0))  # no lock: commands need not wait for it
            await asyncio.sleep_ms(20)

    def _ripe(self, owed):
        return owed.event == record.METER_FAULT or (self._meter.known and self._time_known())

    def _time_known(self):
        # what is found at boot waits a little for the gateway's time, so that it can be billed
        now = self._clock.mono_ms()
        return self._time.utc_ms(now) is not None or self._clock.real_us() > TIME_PATIENCE_US

    async def _pay(self, owed):
        """Records the owed end of the open transaction, unless the meter gives no reading."""
        if owed is None:
            return Answer(codes.NOT_OPEN)  # paid meanwhile
        reading, error = await self._meter.read_event()
        if error:
            return Answer(error)
        answer = self._record(owed, owed.event, reading, owed.cause)
        if not answer.code:
            self.open_uuid = None
            self._end_owed = None
            self._led.show(False)
        return answer

    async def _pay_other(self, owed):
        """Records an event outside a transaction, with a reading where the meter gives one."""
        if not self._spare():
            return Answer(codes.JOURNAL_FULL)
        reading = None
        if self._meter.healthy:
            reading, error = await self._meter.read_event()
            owed.cause = owed.cause or error
        owed.cause = owed.cause or (0 if reading else self._meter.error)
        owed.uuid = _own_uuid()
        return self._record(owed, owed.event, reading, owed.cause)

    # -- records

    def _spare(self):
        return self._journal.capacity - self._journal.unacknowledged > SPARE

    def _record(self, what, event, reading, cause=0):
        """what: a Command or _Owed; reading: None for a record without values."""
        if reading is None:
            reading = taken([], self._time, self._clock.mono_ms())
        try:
            seq = self._recorder.taf16(event, what.uuid, reading, what.text, what.event_ms, cause)
        except JournalFull:
            self._log.write(codes.JOURNAL_FULL)
            return Answer(codes.JOURNAL_FULL)
        self._answered.add(what.uuid, event, seq)
        self._log.write(codes.RECORDED, event, seq)
        self.on_record()
        return Answer(0, seq)


def _own_uuid():
    """A random UUID (RFC 9562, version 4)."""
    uuid = bytearray(os.urandom(16))
    uuid[6] = uuid[6] & 0x0F | 0x40
    uuid[8] = uuid[8] & 0x3F | 0x80
    return bytes(uuid)
