"""Switching and the events nobody commanded: one record each, relay first, repeats answered."""

import asyncio
import uuid as uuidlib

import pytest
from device_kit import METER_TIMEOUT, FakeJournal, Started, run
from hypothesis import given, settings
from hypothesis import strategies as st

from dicamm import codes
from dicamm.app import control_task, records
from dicamm.app.control_task import Controller
from dicamm.control.answered import REMEMBERED
from dicamm.control.command import Command
from dicamm.control.interlock import Interlock
from dicamm.metering import record

T_MS = 1_777_882_500_000
UUID, OTHER = bytes(range(16)), bytes(range(16, 32))


class Relay:
    closed = False

    def open(self):
        self.closed = False

    def close(self):
        self.closed = True

    def is_closed(self):
        return self.closed


class Led:
    def show(self, on):
        pass


class Device(Started):
    """The controller alone, started on a journal."""

    def __init__(self, journal, utc_ms: int | None = T_MS):
        super().__init__(journal)
        self.relay = Relay()
        self.interlock = Interlock(self.relay)
        self.interlock.release("starting")
        self.control = Controller(
            self.interlock,
            self.meter,
            self.recorder,
            journal,
            self.time,
            self.clock,
            self.log,
            Led(),
        )
        if utc_ms is not None:
            self.set_utc(utc_ms)
        self.inputs = {record.TAMPER: False, record.POWER_FAIL: False}
        self.control.recover(records.recent(journal, self.recorder, REMEMBERED)[0])
        for event in self.inputs:
            self.control.watch_input(event, lambda event=event: self.inputs[event])

    def rounds(self, count=6):
        """Lets the controller's own task look around."""
        task = self.control.run(lambda: None)
        for _ in range(count):
            task.send(None)
            self.clock.now_ms += 20
        task.close()

    def command(self, action, uuid=UUID, text=""):
        return run(self.control.command(Command(action, uuid, text, T_MS)))

    def events(self, first=2):
        """(event, cause) of the records from number `first` on; the first is that of the boot."""
        return [
            (each[record.EVENT], each.get(record.CAUSE, 0)) for each in self.fields()[first - 1 :]
        ]


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch):
    class Once:
        def __await__(self):
            yield

    monkeypatch.setattr(control_task.asyncio, "sleep_ms", lambda _ms: Once(), raising=False)
    assert control_task.asyncio is asyncio


def started(**options):
    device = Device(FakeJournal(), **options)
    device.rounds()
    return device


def test_a_start_is_an_event_with_a_reading_and_a_uuid_of_its_own():
    (boot,) = started().fields()
    assert boot[record.EVENT] == record.BOOT and boot[record.VALUES]
    uuid = uuidlib.UUID(bytes=boot[record.UUID])
    assert uuid.version == 4 and uuid.variant == uuidlib.RFC_4122


def test_starts_with_nothing_in_between_are_one_event():
    journal = started().journal
    for _ in range(3):
        Device(journal).rounds()
    assert journal.newest == 1


def test_a_start_without_legal_time_waits_half_a_minute_and_is_recorded_then():
    device = started(utc_ms=None)
    device.rounds(1400)  # 28 s
    assert device.fields() == []
    device.rounds(200)
    (boot,) = device.fields()
    assert boot[record.TIME_STATE] == [0, None] and record.CAPTURED_MS not in boot


def test_begin_change_and_end_each_have_their_own_reading():
    device = started()
    device.command(record.BEGIN)
    device.clock.now_ms += 1000
    assert device.command(record.CHANGE, text="4200 W").code == 0
    assert device.relay.closed
    device.clock.now_ms += 1000
    device.command(record.END)
    assert device.events() == [(record.BEGIN, 0), (record.CHANGE, 0), (record.END, 0)]
    begin, change, end = device.fields()[1:]
    assert change[record.TEXT] == "4200 W"
    registers = [each[record.VALUES][0][1] for each in (begin, change, end)]
    assert registers == [registers[0], registers[0] + 1000, registers[0] + 2000]
    assert not device.relay.closed


def test_a_second_change_of_a_transaction_goes_under_a_uuid_of_its_own():
    device = started()
    device.command(record.BEGIN)
    first = device.command(record.CHANGE)
    assert device.command(record.CHANGE).seq == first.seq
    assert device.command(record.CHANGE, OTHER).seq == first.seq + 1


def test_a_change_without_a_transaction_is_refused():
    device = started()
    assert device.command(record.CHANGE).code == codes.NOT_OPEN
    assert device.events() == [(record.REFUSED, codes.NOT_OPEN)]


@pytest.mark.parametrize("again", [False, True], ids=["at once", "after a restart"])
def test_a_repeated_command_gets_the_first_answer_and_makes_no_record(again):
    device = started()
    begin, end = device.command(record.BEGIN), device.command(record.END)
    refused = device.command(record.END, OTHER)
    assert refused.code == codes.NOT_OPEN and refused.seq == 4
    if again:
        device = Device(device.journal)
    assert device.command(record.BEGIN).seq == begin.seq
    assert device.command(record.END).seq == end.seq
    repeat = device.command(record.END, OTHER)
    assert (repeat.code, repeat.seq) == (refused.code, refused.seq)
    assert device.journal.newest == 4 and not device.relay.closed


def test_a_refused_begin_stays_refused_under_its_uuid():
    device = started()
    device.meter.silent = True
    refused = device.command(record.BEGIN)
    assert refused.code == METER_TIMEOUT and not device.relay.closed
    device.meter.silent = False
    again = device.command(record.BEGIN)
    assert (again.code, again.seq) == (METER_TIMEOUT, refused.seq)
    assert device.command(record.BEGIN, OTHER).code == 0
    assert device.events() == [(record.REFUSED, METER_TIMEOUT), (record.BEGIN, 0)]


def test_an_end_that_came_before_its_begin_bars_neither():
    device = started()
    assert device.command(record.END).code == codes.NOT_OPEN
    assert device.command(record.BEGIN).code == 0 and device.relay.closed
    assert device.command(record.END).code == 0 and not device.relay.closed


def test_a_refusal_has_a_reading_where_the_meter_gives_one():
    device = started()
    device.command(record.BEGIN)
    assert device.command(record.BEGIN, OTHER).code == codes.OTHER_OPEN
    assert device.relay.closed
    refused = device.fields()[2]
    assert refused[record.VALUES] and refused[record.UUID] == OTHER
    assert refused[record.STATUS] == 0 and refused[record.CAUSE] == codes.OTHER_OPEN


def test_a_full_journal_refuses_and_switches_nothing():
    device = started()
    device.journal.full = True
    assert device.command(record.BEGIN).code == codes.JOURNAL_FULL
    assert not device.relay.closed and device.journal.newest == 1


def test_a_lost_meter_is_an_event_and_ends_the_transaction_when_it_is_back():
    device = started()
    device.command(record.BEGIN)
    device.meter.lose()
    assert not device.relay.closed
    device.rounds()
    assert device.events(3) == [(record.METER_FAULT, METER_TIMEOUT)]
    fault = device.fields()[2]
    assert fault[record.VALUES] == [] and fault[record.STATUS] == record.NO_VALUES
    assert fault[record.CAPTURED_MS] >= T_MS and fault[record.UUID] != UUID
    device.meter.lose(False)
    device.rounds()
    assert device.events(4) == [(record.FAILSAFE, codes.METER_LOST)]
    assert device.fields()[3][record.UUID] == UUID


def test_a_meter_that_comes_and_goes_does_not_fill_the_journal():
    device = started()
    for _ in range(50):
        device.meter.lose()
        device.rounds(3)
        device.meter.lose(False)
        device.rounds(3)
    assert device.events() == [(record.METER_FAULT, METER_TIMEOUT)]
    device.clock.now_ms += control_task.ONCE_MS
    device.meter.lose()
    device.rounds()
    assert len(device.events()) == 2


@pytest.mark.parametrize("event", [record.TAMPER, record.POWER_FAIL])
def test_an_alarm_input_opens_the_relay_ends_the_transaction_and_locks(event):
    device = started()
    device.command(record.BEGIN)
    device.inputs[event] = True
    device.rounds(1)
    assert not device.relay.closed
    device.rounds()
    assert device.events(3) == [(event, codes.INPUT_ACTIVE)]
    ended = device.fields()[2]
    assert ended[record.UUID] == UUID and ended[record.VALUES]
    refused = device.command(record.BEGIN, OTHER)
    assert refused.code == codes.INTERLOCKED and refused.text == record.EVENT_NAMES[event]
    device.inputs[event] = False
    device.rounds()
    assert device.command(record.BEGIN, bytes(16)).code == 0 and device.relay.closed
    assert device.command(record.END).seq == 3  # the end of that transaction is the alarm


@pytest.mark.parametrize("event", [record.TAMPER, record.POWER_FAIL])
def test_an_alarm_input_without_transaction_is_an_event_of_its_own(event):
    device = started()
    device.inputs[event] = True
    device.rounds()
    assert device.events() == [(event, codes.INPUT_ACTIVE)]
    assert device.fields()[1][record.VALUES]


def test_a_task_fault_ends_the_transaction_as_failsafe():
    device = started()
    device.command(record.BEGIN)
    device.control.fail_safe("task fault")
    assert not device.relay.closed
    device.rounds()
    assert device.events(3) == [(record.FAILSAFE, codes.TASK_RESTARTED)]


def test_a_transaction_open_at_the_start_is_ended_with_the_reading_of_the_start():
    device = started()
    device.command(record.BEGIN)
    later = Device(device.journal)
    assert later.control.open_uuid == UUID and not later.relay.closed
    later.clock.now_ms = 77_000
    later.rounds()
    assert later.events(3) == [(record.POWER_FAIL, codes.POWER_FAIL_FOUND)]
    ended = later.fields()[2]
    assert ended[record.UUID] == UUID and ended[record.VALUES][0][1] >= 77_000
    assert Device(device.journal).control.open_uuid is None


def test_a_transaction_is_found_open_however_many_records_came_since():
    device = started()
    device.command(record.BEGIN)
    for number in range(REMEMBERED + 20):
        device.command(record.CHANGE, number.to_bytes(16, "big"))
    later = Device(device.journal)
    assert later.control.open_uuid == UUID
    newest = (REMEMBERED + 19).to_bytes(16, "big")
    assert later.command(record.CHANGE, newest).seq == device.journal.newest


commands = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([record.BEGIN, record.END, record.CHANGE]), st.integers(0, 3)),
        st.tuples(st.sampled_from(["lose", "back", "tamper", "restart", "wait"]), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(commands)
def test_every_transaction_has_one_begin_and_one_end_whatever_happens(what):
    device = started()
    for act, number in what:
        if act == "lose":
            device.meter.lose()
        elif act == "back":
            device.meter.lose(False)
        elif act == "tamper":
            device.inputs[record.TAMPER] = not device.inputs[record.TAMPER]
        elif act == "restart":
            device = Device(device.journal)
        elif act == "wait":
            device.rounds()
        else:
            device.command(act, bytes([number]) * 16)
    if device.meter.silent:
        device.meter.lose(False)
    device.rounds()
    opened, seen = None, set()
    for fields in device.fields():
        event, uuid = fields[record.EVENT], fields[record.UUID]
        if event == record.BEGIN:
            assert opened is None
            opened = uuid
        elif event in record.ENDS and uuid == opened:
            opened = None
        kind = (uuid, record.END if event in record.ENDS else event)
        assert kind not in seen
        seen.add(kind)
    assert opened == device.control.open_uuid
    assert device.relay.closed == (opened is not None)
