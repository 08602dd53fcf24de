"""TAF7: a quarter hour gives one reading or is named as missing once, whatever the clock does."""

from device_kit import METER_TIMEOUT, OBIS, FakeJournal, Started, run
from hypothesis import given, settings
from hypothesis import strategies as st

from dicamm import codes
from dicamm.app import records
from dicamm.app.taf7_task import QuarterHours
from dicamm.metering import record
from dicamm.metering.grid import BACK_MS, LATEST_MS, PERIOD_MS, QuarterHourGrid
from dicamm.metering.reading import taken

T_MS = 1_777_882_500_000  # a due time


class Device(Started):
    """TAF7 alone, started on a journal."""

    def __init__(self, journal):
        super().__init__(journal)
        _, last_due_ms = records.recent(journal, self.recorder, 4)
        self.task = QuarterHours(
            QuarterHourGrid(last_due_ms),
            self.meter,
            self.recorder,
            self.time,
            self.clock,
            self.log,
        )

    def run_for(self, ms):
        """Lets time pass in naps as the task wants them, at least 20 s each."""
        end_ms = self.clock.now_ms + ms
        while True:
            nap_ms = run(self.task._round())
            if self.clock.now_ms >= end_ms:
                return
            nap_ms = max(nap_ms, 20_000) if nap_ms > 5 else 100
            self.clock.now_ms = min(end_ms, self.clock.now_ms + nap_ms)


def started(utc_ms=T_MS + 1000):
    device = Device(FakeJournal())
    device.set_utc(utc_ms)
    return device


def due(fields):
    return [(each[record.EVENT_MS] - T_MS) // PERIOD_MS for each in fields]


def test_a_day_gives_a_reading_each_quarter_hour():
    device = started()
    device.run_for(86_400_000)
    found = device.fields()
    assert due(found) == list(range(1, 97))
    for each in found:
        assert 0 <= each[record.CAPTURED_MS] - each[record.EVENT_MS] <= LATEST_MS
        assert each[record.VALUES] and each[record.STATUS] == 0 and record.CAUSE not in each


def test_a_meter_silent_over_two_quarter_hours_leaves_two_gaps_with_the_cause():
    device = started()
    device.run_for(PERIOD_MS)
    device.meter.silent = True
    device.run_for(2 * PERIOD_MS + LATEST_MS)
    device.meter.silent = False
    device.run_for(PERIOD_MS)
    found = device.fields()
    assert due(found) == [1, 2, 3, 4]
    assert [each[record.STATUS] for each in found] == [0, record.NO_VALUES, record.NO_VALUES, 0]
    for gap in found[1:3]:
        assert gap[record.VALUES] == [] and gap[record.CAUSE] == METER_TIMEOUT
        assert record.FIRST_DUE_MS not in gap
    assert device.task.missed == 2


def test_a_meter_that_answers_in_time_is_read_late_in_its_window():
    device = started()
    device.run_for(PERIOD_MS - 1000 - 5000)
    device.meter.silent = True
    device.run_for(15_000)
    device.meter.silent = False
    device.run_for(60_000)
    (only,) = device.fields()
    assert only[record.VALUES] and 9_000 < only[record.CAPTURED_MS] - T_MS - PERIOD_MS < 12_000


def test_a_reading_that_came_too_late_is_not_the_one_of_its_quarter_hour():
    device = started()
    device.meter.slow_ms = LATEST_MS + 5000
    device.run_for(PERIOD_MS + 60_000)
    (gap,) = device.fields()
    assert gap[record.VALUES] == [] and due([gap]) == [1]


def test_days_without_power_are_one_record():
    first = started()
    first.run_for(PERIOD_MS)
    second = Device(first.journal)
    second.run_for(60_000)  # no time yet
    assert second.journal.newest == 1
    second.set_utc(T_MS + 500 * PERIOD_MS + 60_000)
    second.run_for(PERIOD_MS)
    _, gap, reading = second.fields()
    assert due([gap, reading]) == [500, 501] and reading[record.VALUES]
    assert gap[record.FIRST_DUE_MS] == T_MS + 2 * PERIOD_MS and gap[record.VALUES] == []
    assert gap[record.CAUSE] == codes.BOOTED and second.task.missed == 499


def test_a_restart_within_a_quarter_hour_reads_it_no_second_time():
    first = started()
    first.run_for(PERIOD_MS + 5000)
    second = Device(first.journal)
    second.set_utc(T_MS + PERIOD_MS + 8000)
    second.run_for(PERIOD_MS)
    assert due(second.fields()) == [1, 2]


def test_a_restart_behind_hundreds_of_switchings_looks_no_further_back_than_they_go():
    first = started()
    first.run_for(PERIOD_MS + 5000)
    journal = first.journal
    for number in range(records.LOOKS):
        event = record.END if number % 2 else record.BEGIN
        reading = taken([(OBIS, 1, 0, 30)], first.time, first.clock.mono_ms())
        first.recorder.taf16(event, bytes(16), reading, "", T_MS)
    asked = []
    kind = journal.kind
    journal.kind = lambda seq: asked.append(seq) or kind(seq)
    again = Device(journal)
    assert len(asked) == records.LOOKS and max(asked) == journal.newest
    again.set_utc(T_MS + 5 * PERIOD_MS + 60_000)
    again.run_for(10_000)
    gap = again.fields()[-1]
    assert due([gap]) == [5] and gap[record.FIRST_DUE_MS] == T_MS + 2 * PERIOD_MS
    assert gap[record.CAUSE] == codes.BOOTED


def test_a_clock_set_forward_names_what_it_jumped_over():
    device = started()
    device.run_for(PERIOD_MS)
    device.set_utc(T_MS + 5 * PERIOD_MS + 100_000)
    device.run_for(PERIOD_MS)
    _, gap, reading = device.fields()
    assert due([gap, reading]) == [5, 6] and gap[record.FIRST_DUE_MS] == T_MS + 2 * PERIOD_MS
    assert gap[record.CAUSE] == codes.TIME_STEPPED
    assert gap[record.STATUS] == record.NO_VALUES | record.STEPPED and not reading[record.STATUS]


def test_a_clock_set_back_repeats_nothing():
    device = started()
    device.run_for(4 * PERIOD_MS)
    device.set_utc(T_MS + PERIOD_MS - 1000)
    device.run_for(4 * PERIOD_MS + 2000)
    found = device.fields()
    assert due(found) == [1, 2, 3, 4, 5]
    assert found[4][record.STATUS] == record.STEPPED


def test_a_full_journal_loses_no_quarter_hour_unsaid():
    device = started()
    device.journal.full = True
    device.run_for(3 * PERIOD_MS + LATEST_MS)
    assert [entry[1] for entry in device.log.entries()] == [codes.JOURNAL_FULL]
    device.journal.full = False
    device.run_for(PERIOD_MS)
    gap, reading = device.fields()
    assert due([gap, reading]) == [3, 4] and gap[record.FIRST_DUE_MS] == T_MS + PERIOD_MS
    assert gap[record.CAUSE] == codes.JOURNAL_FULL


acts = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(1000, 4 * PERIOD_MS)),
        st.tuples(st.just("set"), st.integers(-BACK_MS // 2, BACK_MS // 2)),
        st.tuples(st.just("silent"), st.booleans()),
        st.tuples(st.just("full"), st.booleans()),
        st.tuples(st.just("slow"), st.integers(0, 40_000)),
        st.tuples(st.just("restart"), st.integers(0, 30 * PERIOD_MS)),
    ),
    max_size=14,
)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, PERIOD_MS), acts)
def test_every_quarter_hour_has_one_reading_or_one_gap(start, what):
    device = started(T_MS + start)
    back_ms = 0
    for act, amount in what:
        if act == "run":
            device.run_for(amount)
        elif act == "set":
            back_ms = min(0, back_ms + amount)
            if back_ms > -BACK_MS // 2:  # further back, the grid starts anew
                device.set_utc(device.time.utc_ms(device.clock.now_ms) + amount)
            else:
                back_ms -= amount
        elif act == "silent":
            device.meter.silent = amount
        elif act == "full":
            device.journal.full = amount
        elif act == "slow":
            device.meter.slow_ms = amount
        else:
            utc_ms = device.time.utc_ms(device.clock.now_ms)
            device = Device(device.journal)
            device.run_for(1000)
            device.set_utc(utc_ms + amount)
    device.journal.full = device.meter.silent = False
    device.meter.slow_ms = 0
    device.run_for(BACK_MS)
    stated = []
    for each in device.fields():
        last = each[record.EVENT_MS]
        first = each.get(record.FIRST_DUE_MS, last)
        assert first % PERIOD_MS == last % PERIOD_MS == 0
        if each[record.VALUES]:
            assert first == last and 0 <= each[record.CAPTURED_MS] - last <= LATEST_MS
        else:
            assert each[record.CAUSE] and each[record.STATUS] & record.NO_VALUES
        stated += range(first, last + 1, PERIOD_MS)
    assert stated and stated == list(range(stated[0], stated[-1] + 1, PERIOD_MS))
