"""The archive of the gateway: what went in comes out, in order, and a gap may be filled once."""

from dataclasses import replace

import pytest
from smgw_core_kit import METER, QUARTER, reading_at

from clsbench.errors import EnvironmentProblem
from clsbench.smgw.archive import DAY_MS, KEEP_FINE_MS, KEEP_MS, Archive
from clsbench.smgw.core import status
from clsbench.smgw.core.clock_state import HOLDOVER, TimeState
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.grid import Slot
from clsbench.smgw.core.originals import originals, slot_originals
from clsbench.smgw.store import Store

IMPORT = "1-0:1.8.0*255"


@pytest.fixture
def store(state):
    opened = Store(state)
    yield opened
    opened.close()


@pytest.fixture
def archive(store):
    return Archive(store.database)


def due(number, raw=None, captured_ms=None):
    reading = reading_at(captured_ms or number * QUARTER, raw or number)
    return originals(METER, reading, TimeState(), number * QUARTER)


def gap(number, last):
    return slot_originals(METER, Slot(number * QUARTER, None), TimeState(), last)


def test_original_readings_come_back_as_they_went_in(archive):
    rows = due(1) + due(2) + originals(METER, reading_at(QUARTER + 5, 7), TimeState(HOLDOVER, 9))
    assert archive.add_originals(rows) == 3
    assert archive.originals(METER) == [rows[0], rows[2], rows[1]]
    assert archive.originals(METER, period_ms=QUARTER) == rows[:2]
    assert archive.originals(METER, IMPORT, QUARTER, 2 * QUARTER) == [rows[0], rows[2]]
    assert archive.originals(METER, "1-0:2.8.0*255") == archive.originals("other") == []
    assert archive.originals(METER, limit=1) == rows[:1]
    assert archive.registers(METER) == [(IMPORT, -1, 30)]
    assert archive.last_due_ms(METER, QUARTER) == 2 * QUARTER
    assert archive.last_originals(METER) == [rows[1]]


def test_a_due_time_with_a_value_keeps_it_and_a_gap_takes_one(archive):
    first = due(1)
    archive.add_originals(first + gap(2, first))
    assert archive.add_originals(due(1, raw=99)) == 0
    assert archive.originals(METER)[0] == first[0]
    missing = archive.originals(METER)[1]
    assert missing.raw is None and missing.captured_ms is None and not missing.usable
    assert missing.ptb == 3 and status.has(missing.status, status.NO_VALUE)
    late = due(2, raw=5)
    assert archive.add_originals(late) == 1 and archive.originals(METER)[1] == late[0]
    assert archive.add_originals(gap(2, first)) == 0 and archive.originals(METER)[1] == late[0]


def test_rows_past_keeping_go_and_fine_ones_earlier(archive):
    now = 1_000 * KEEP_FINE_MS
    old, fine = (
        now // QUARTER * QUARTER - KEEP_MS - QUARTER,
        now // QUARTER * QUARTER - 40 * DAY_MS,
    )
    reading = reading_at(1)
    for due_ms in (old, fine, fine + 60_000):
        archive.add_originals(originals(METER, reading, TimeState(), due_ms))
    archive.trim(now)
    assert [row.due_ms for row in archive.originals(METER)] == [fine]


def test_a_running_period_is_replaced_and_a_closed_one_stands(archive):
    row = Derived("taf1", IMPORT, 0, 10, 5, -1, 30, status.combine(), 0, closed=False)
    archive.put_derived([row])
    archive.put_derived([replace(row, raw=6, closed=True)])
    archive.put_derived([replace(row, raw=7)])
    assert archive.derived("taf1") == [replace(row, raw=6, closed=True)]
    assert archive.derived("taf1", to_ms=10) == [] == archive.derived("other")
    assert archive.last_end_ms("taf1") == 10 and archive.last_end_ms("other") is None


def test_a_log_is_read_by_time_number_level_and_count(archive, store):
    for number, level in enumerate(("INFO", "WARNING", "ERROR", "INFO"), 1):
        store.add_log("system", number * 10, level, "e", "SUCCESS", "s", "m", user="u")
    store.add_log("calibration", 1, "INFO", "e", "SUCCESS", "s", "m")

    def numbers(**asked):
        return [entry.number for entry in archive.log_entries("system", **asked)]

    assert numbers() == [1, 2, 3, 4]
    assert numbers(from_ms=20, to_ms=40) == [2, 3]
    assert numbers(from_number=2, to_number=3) == [2, 3]
    assert numbers(level="WARNING") == [2, 3]
    assert numbers(count=2, newest_first=True) == [4, 3]
    assert archive.logs() == {"calibration": (1, 1), "system": (1, 4)}
    assert archive.log_entries("system")[0].user == "u"


def test_a_second_process_may_look_while_the_gateway_writes(state, archive):
    archive.add_originals(due(1))
    looking = Archive.reading(state)
    assert looking.originals(METER) == due(1)
    archive.add_originals(due(2))
    assert len(looking.originals(METER)) == 2


def test_looking_where_no_gateway_ran_is_told(tmp_path):
    with pytest.raises(EnvironmentProblem, match=r"smgw\.sqlite"):
        Archive.reading(tmp_path)
