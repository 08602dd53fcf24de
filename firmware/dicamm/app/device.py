"""Puts the parts together: settings and ports in, a running DICAMM out."""

import asyncio
import gc
import os

import slots
from dicamm import VERSION, codes
from dicamm.app import records
from dicamm.app.bus import Bus
from dicamm.app.control_task import Controller
from dicamm.app.journal_task import JournalKeeper
from dicamm.app.log import Log
from dicamm.app.meter_task import Meter
from dicamm.app.recorder import Recorder
from dicamm.app.supervisor import Supervisor
from dicamm.app.taf7_task import QuarterHours
from dicamm.app.time_task import TimeKeeper
from dicamm.control.answered import REMEMBERED
from dicamm.control.command import uuid_text
from dicamm.control.interlock import Interlock
from dicamm.link.bench import BenchLink
from dicamm.metering.grid import QuarterHourGrid
from dicamm.metering.legal_time import LegalTime
from dicamm.metering.record import POWER_FAIL, TAMPER
from dicamm.proto.cose import HmacSha256, Mac0
from dicamm.store.journal import Journal

PROTOCOL = 1
INPUTS = {TAMPER: "tamper", POWER_FAIL: "power_fail"}  # event -> port, where the board has one


class Device:
    """settings: store.settings.Settings; ports: what `board.ports(settings)` gives; board: its
    name; connect: async function () -> TLS stream to the gateway, or None without a gateway;
    channel: app.channel_task.ChannelTasks, or None without a CLS channel."""

    def __init__(self, settings, ports, board, connect, channel=None):
        self.settings = settings
        self.ports = ports
        self.board = board
        self.start_id = int.from_bytes(os.urandom(4), "big")
        self.log = Log(ports.clock)
        self.interlock = Interlock(ports.relay)
        self.legal_time = LegalTime(settings.drift_ppm)
        self.time_keeper = TimeKeeper(self.legal_time, ports.clock, self.log)
        self.journal = Journal(ports.flash, erase_inline=False)
        self.journal.erase_ahead()  # nothing is on the bus yet
        self.mac0 = Mac0(settings.read_file("records.key"), settings.device_id.encode())
        self.update_key = HmacSha256(settings.read_file("records.key")).mac(b"clsbench update")
        self.updater = None
        self._signer = _signer(settings)
        identity = (settings.cls_id, settings.meter_id)
        self.recorder = Recorder(self.journal, self.mac0, identity, self.legal_time)
        self.bus = Bus(ports.bus, ports.clock, settings.bus_timeout_ms, settings.bus_tries)
        self.meter = Meter(settings, self.bus, ports.clock, self.legal_time, self.log)
        self.controller = Controller(
            self.interlock,
            self.meter,
            self.recorder,
            self.journal,
            self.legal_time,
            ports.clock,
            self.log,
            ports.led,
        )
        self.controller.rated_w = settings.rated_w
        events, last_due_ms = records.recent(self.journal, self.recorder, REMEMBERED)
        self.controller.recover(events)
        for event in INPUTS:
            is_active = getattr(ports, INPUTS[event], None)
            if is_active is not None:
                self.controller.watch_input(event, is_active)
        self.quarter_hours = QuarterHours(
            QuarterHourGrid(last_due_ms),
            self.meter,
            self.recorder,
            self.legal_time,
            ports.clock,
            self.log,
        )
        self.link = BenchLink(ports.console, BenchService(self))
        self.log.listener = self.link.send_log
        self.clients = []
        self.supervisor = None
        self._connect = connect
        self._channel = channel

    async def run(self):
        """Runs until the host wants the REPL; the relay is open on return, whatever happened."""
        self.log.write(codes.BOOTED, self.ports.reset_cause, self.journal.newest)
        supervisor = Supervisor(self.ports.clock, self.log, self.ports.watchdog, self._fault)
        self.supervisor = supervisor
        try:
            poll_ms = self.settings.poll_ms  # between two polls neither has anything to report
            supervisor.add("bus", self._run_bus, 60000 + poll_ms)
            supervisor.add("meter", self.meter.run, 10000 + poll_ms)
            supervisor.add("control", self.controller.run, 10000)
            supervisor.add("taf7", self.quarter_hours.run, 10000)
            supervisor.add("time", self.time_keeper.run, 30000)
            supervisor.add("link", self.link.run, 5000)
            keeper = JournalKeeper(self.journal, self.bus, self.ports.clock)
            supervisor.add("journal", keeper.run, 10000)
            if self._connect is not None:
                self._add_gateway(supervisor)
            if self._channel is not None:
                self._channel.add(self, self.link.device, supervisor)
            self._look_at_slots(supervisor)
            self.interlock.release("starting")
            await supervisor.watch(lambda: self.link.handed_over)
            self.journal.flush()
        finally:
            self.interlock.lock("stopped")
            supervisor.stop()
        await asyncio.sleep_ms(50)  # the answer to the hand-over leaves first

    def _look_at_slots(self, supervisor):
        state = slots.load()
        if state.trial:
            from dicamm.app.trial import Trial

            supervisor.add("trial", Trial(self).run, 30000)
        elif state.failed and not state.told:
            from dicamm.app.trial import tell

            asyncio.create_task(tell(self.controller, state))

    def _add_gateway(self, supervisor):
        # here: a board without gateway does not carry them
        from dicamm.app.delivery_task import Backoff, CommandPoll, Delivery
        from dicamm.link.han import HanClient

        host = self.settings.gateway_name
        first, second = HanClient(self._connect, host), HanClient(self._connect, host)
        self.clients = [first, second]
        self.time_keeper.ask(first, Backoff(_jitter))
        delivery = Delivery(
            first,
            self.journal,
            self.mac0,
            self._utc_ms,
            self.log,
            _jitter,
        )
        delivery.signer = self._signer
        self.controller.on_record = delivery.wake
        self.quarter_hours.on_record = delivery.wake
        supervisor.add("delivery", delivery.run, 30000)
        poll = CommandPoll(second, self.controller, self.log, _jitter)
        supervisor.add("commands", poll.run, 60000)

    def _utc_ms(self):
        return self.legal_time.utc_ms(self.ports.clock.mono_ms())

    async def _run_bus(self, alive):
        self.bus.alive = alive
        await self.bus.run()

    def _fault(self):
        self.controller.fail_safe("task fault")


def _signer(settings):
    """What signs records on their way to the gateway, or None where they are not to be signed."""
    if not settings.sign:
        return None
    from dicamm.proto.cose_sign1 import Sign1  # here: its constants take 4 KB

    return Sign1(settings.read_file("sign.key"), settings.device_id.encode())


def _jitter():
    return os.urandom(1)[0]


class BenchService:
    """What the bench link asks of the device."""

    def __init__(self, device):
        self._device = device

    def hello(self):
        """Who this is."""
        device = self._device
        return {
            "device_id": device.settings.device_id,
            "cls_id": device.settings.cls_id,
            "meter_id": device.settings.meter_id,
            "version": VERSION,
            "board": device.board,
            "protocol": PROTOCOL,
            "mono_ms": device.ports.clock.mono_ms(),
            "start_id": device.start_id,
        }

    def status(self):
        """Everything a person at the bench wants to see, after a garbage collection."""
        device = self._device
        gc.collect()
        heap = {"allocated": gc.mem_alloc(), "free": gc.mem_free()}  # what follows is garbage
        now_ms = device.ports.clock.mono_ms()
        journal = device.journal
        meter = device.meter
        uuid = device.controller.open_uuid
        return {
            "relay_closed": device.interlock.is_closed(),
            "locked": device.interlock.locked(),
            "open_uuid": uuid_text(uuid) if uuid else None,
            "journal": {
                "oldest": journal.oldest,
                "newest": journal.newest,
                "unacknowledged": journal.unacknowledged,
                "capacity": journal.capacity,
                "free": journal.free,
                "dropped": journal.dropped,
                "torn": journal.torn,
                "lost": journal.lost,
            },
            "meter": {
                "healthy": meter.healthy,
                "error": meter.error,
                "good_reads": meter.good_reads,
                "failed_reads": meter.failed_reads,
                "discarded": device.bus.discarded,
            },
            "time": {
                "state": device.legal_time.state(now_ms),
                "utc_ms": device.legal_time.utc_ms(now_ms),
                "bound_ms": device.legal_time.bound_ms(now_ms),
                "ignored": device.legal_time.ignored,
                "quarter_hours_missed": device.quarter_hours.missed,
            },
            "heap": heap,
            "gateway": {
                "requests": sum(client.requests for client in device.clients),
                "failures": sum(client.failures for client in device.clients),
            },
            "link": {"discarded": device.link.discarded, "malformed": device.link.malformed},
            "restarts": device.supervisor.restarts,
        }

    async def command(self, command):
        """Carries out a command from the bench as one from the gateway."""
        return await self._device.controller.command(command)

    def set_time(self, utc_ms, bound_ms):
        """Sets UTC on a bench without a gateway."""
        now_ms = self._device.ports.clock.mono_ms()
        self._device.time_keeper.learn(utc_ms, bound_ms, now_ms, now_ms, True)

    def acknowledge(self, seq):
        """Records up to `seq` are safe with the host; returns up to which they may give way, None
        when there are not so many. With a gateway only what that has acknowledged gives way."""
        journal = self._device.journal
        if seq > journal.newest:
            return None
        if not self._device.clients:
            journal.acknowledge(seq)
        pending = journal.pending(1)
        return pending[0] - 1 if pending else journal.newest

    def records(self, first, count):
        """(seq, sealed) of up to `count` records from number `first` on."""
        journal = self._device.journal
        found = 0
        for seq in range(max(first, journal.oldest, 1), journal.newest + 1):
            if found == count:
                return
            sealed = journal.read(seq)
            if sealed is not None:
                found += 1
                yield seq, sealed

    async def update(self, message):
        """A step of an update; its code is loaded with the first."""
        device = self._device
        if device.updater is None:
            from dicamm.app.update import Update

            device.updater = Update(device, device.update_key)
        return await device.updater.serve(message)

    def logs(self):
        """The log entries still held."""
        return self._device.log.entries()
