"""Carries out switching commands: relay first, then the reading, then the record, then the answer.

The relay never waits for the bus. A command is answered when its record is on flash, and a
repeated one gets the first answer again.
"""

import asyncio

from dicamm import codes
from dicamm.app.log import nobody
from dicamm.control.command import Answer
from dicamm.metering import record
from dicamm.store.journal import JournalFull

REMEMBERED = 32  # answered (uuid, event) pairs kept against repeats


class Controller:
    """One transaction at a time.

    `recover` finds what a power cut left open. `on_record` is called after each record of an
    event, so that delivery need not wait for its next round.
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
        self._answered = []  # (uuid, begin?, seq), newest last
        self.open_uuid = None
        self._pending = None  # (event, text, event_ms): relay is open, the end reading is owed
        self.on_record = nobody
        meter.on_change = self._meter_changed

    # -- start

    def recover(self, events):
        """Takes the journal's TAF16 records, oldest first, as (seq, uuid, event)."""
        for seq, uuid, event in events:
            self._remember(uuid, event, seq)
            if event == record.BEGIN:
                self.open_uuid = uuid
            elif event in record.ENDS and uuid == self.open_uuid:
                self.open_uuid = None
        if self.open_uuid is not None:
            self._log.write(codes.POWER_FAIL_FOUND)
            self._owe(record.POWER_FAIL, "", None)

    # -- commands

    async def command(self, command):
        """Carries out a `control.command.Command`; returns an Answer."""
        async with self._lock:
            known = self._known(command)
            if known is not None:
                return known
            if command.action == record.BEGIN:
                return await self._begin(command)
            return await self._end(command)

    async def _begin(self, command):
        if not self._meter.known:
            await self._meter.read_event()  # just started: the first reading decides, not none
        code = self._obstacle()
        if code:
            self._log.write(code)
            return Answer(code)
        if not self._interlock.close():
            self._log.write(codes.INTERLOCKED)
            return Answer(codes.INTERLOCKED, None, ", ".join(self._interlock.locked()))
        reading, error = await self._meter.read_event()
        if error:
            self._interlock.open()
            return Answer(error, None, "meter gave no reading, relay opened again")
        if not self._interlock.is_closed():
            # a fault opened it while the meter was read: nothing was begun
            return Answer(codes.INTERLOCKED, None, "relay opened by a fault")
        answer = self._store(record.BEGIN, command.uuid, reading, command.text, command.event_ms)
        if answer.code:
            self._interlock.open()
        else:
            self.open_uuid = command.uuid
            self._led.show(True)
        return answer

    async def _end(self, command):
        if self.open_uuid != command.uuid:
            self._log.write(codes.NOT_OPEN)
            return Answer(codes.NOT_OPEN)
        self._interlock.open()
        if self._pending is None:
            self._pending = (record.END, command.text, command.event_ms)
        answer = await self._settle()
        if answer.code:
            answer.text = "relay open, the end record follows when the meter answers"
        return answer

    def _obstacle(self):
        if self.open_uuid is not None:
            return codes.OTHER_OPEN
        if not self._meter.healthy:
            return codes.METER_UNHEALTHY
        if not self._journal.room():
            return codes.JOURNAL_FULL
        return 0

    def _known(self, command):
        begin = command.action == record.BEGIN
        for uuid, was_begin, seq in self._answered:
            if uuid == command.uuid and was_begin == begin:
                return Answer(0, seq, "already done")
        return None

    # -- ends that nobody commanded

    def _meter_changed(self, healthy):
        if not healthy and self.open_uuid is not None and self._pending is None:
            self._owe(record.FAILSAFE, "meter silent", None)

    def fail_safe(self, text):
        """Opens the relay now and ends an open transaction as failsafe."""
        self._interlock.open()
        if self.open_uuid is not None and self._pending is None:
            self._owe(record.FAILSAFE, text, None)

    def _owe(self, event, text, event_ms):
        self._interlock.open()
        self._pending = (event, text, event_ms)

    async def run(self, alive):
        """Pays owed end records as soon as meter and time allow."""
        while True:
            alive()
            if self._pending is not None and self._meter.healthy and self._time_known():
                async with self._lock:
                    await self._settle()
            await asyncio.sleep_ms(20 if self._pending is not None else 100)

    def _time_known(self):
        # an end found at boot waits a little for the gateway's time, so that it can be billed
        now = self._clock.mono_ms()
        return self._time.utc_ms(now) is not None or self._clock.real_us() > 30000000

    async def _settle(self):
        if self._pending is None:
            return Answer(codes.NOT_OPEN)  # paid meanwhile
        event, text, event_ms = self._pending
        reading, error = await self._meter.read_event()
        if error:
            return Answer(error)
        answer = self._store(event, self.open_uuid, reading, text, event_ms)
        if not answer.code:
            self.open_uuid = None
            self._pending = None
            self._led.show(False)
        return answer

    def _store(self, event, uuid, reading, text, event_ms):
        try:
            seq = self._recorder.taf16(event, uuid, reading, text, event_ms)
        except JournalFull:
            self._log.write(codes.JOURNAL_FULL)
            return Answer(codes.JOURNAL_FULL)
        self._remember(uuid, event, seq)
        self._log.write(codes.RECORDED, event, seq)
        self.on_record()
        return Answer(0, seq)

    def _remember(self, uuid, event, seq):
        if event == record.BEGIN or event in record.ENDS:
            if len(self._answered) == REMEMBERED:
                self._answered.pop(0)
            self._answered.append((uuid, event == record.BEGIN, seq))
