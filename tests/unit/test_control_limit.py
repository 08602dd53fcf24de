"""A limit binds the relay for its time, ends by itself, and never closes what must stay open."""

import pytest
from test_control_task import OTHER, T_MS, UUID, no_sleep, run, started

from dicamm import codes
from dicamm.control.command import Command
from dicamm.metering import record

__all__ = ["no_sleep"]

LIMIT = bytes(range(32, 48))


def limited(limit_w=0, duration_s=60, rated_w=0):
    """A device with an open transaction and a limit in it."""
    device = started()
    device.control.rated_w = rated_w
    device.command(record.BEGIN)
    device.answer = limit(device, limit_w, duration_s)
    return device


def limit(device, limit_w, duration_s, uuid=LIMIT):
    command = Command(record.CHANGE, uuid, "", T_MS, limit_w, duration_s)
    return run(device.control.command(command))


def test_a_limit_opens_the_relay_for_its_time_and_both_ends_are_records():
    device = limited()
    assert device.answer.code == 0 and not device.relay.closed
    device.clock.now_ms += 59_000
    device.rounds()
    assert not device.relay.closed
    device.clock.now_ms += 1_000
    device.rounds()
    assert device.relay.closed
    assert device.events() == [
        (record.BEGIN, 0),
        (record.CHANGE, 0),
        (record.CHANGE, codes.LIMIT_OVER),
    ]
    change, over = device.fields()[2:]
    assert change[record.TEXT] == "limit 0 W for 60 s" and over[record.TEXT] == "limit over"
    assert change[record.UUID] == LIMIT and over[record.UUID] not in (LIMIT, UUID)
    assert over[record.VALUES][0][1] - change[record.VALUES][0][1] >= 60_000


def test_a_limit_above_the_loads_power_leaves_it_on():
    device = limited(limit_w=2000, rated_w=2000)
    assert device.relay.closed
    device.clock.now_ms += 60_000
    device.rounds()
    assert device.relay.closed and device.events()[-1] == (record.CHANGE, codes.LIMIT_OVER)


def test_a_repeat_is_answered_and_does_not_begin_the_time_anew():
    device = limited()
    device.clock.now_ms += 40_000
    again = limit(device, 0, 60)
    assert (again.code, again.seq) == (0, device.answer.seq)
    device.clock.now_ms += 20_000
    device.rounds()
    assert device.relay.closed


def test_a_later_limit_takes_the_place_of_the_one_before():
    device = limited(duration_s=60, rated_w=2000)
    assert not device.relay.closed
    device.clock.now_ms += 30_000
    assert limit(device, 4200, 900, OTHER).code == 0
    assert device.relay.closed
    device.clock.now_ms += 60_000
    device.rounds()
    assert device.events()[-1] == (record.CHANGE, 0)  # the first one's end is none any more


def test_a_limit_without_a_transaction_is_refused():
    device = started()
    assert limit(device, 0, 60).code == codes.NOT_OPEN
    assert not device.relay.closed


def test_a_transaction_that_ended_is_not_closed_again_by_its_limit():
    device = limited()
    device.command(record.END)
    device.clock.now_ms += 60_000
    device.rounds()
    assert not device.relay.closed and device.events()[-1] == (record.END, 0)


@pytest.mark.parametrize("event", [record.TAMPER, record.POWER_FAIL])
def test_what_locks_the_relay_outlasts_the_limit(event):
    device = limited()
    device.inputs[event] = True
    device.rounds()
    device.clock.now_ms += 60_000
    device.rounds()
    assert not device.relay.closed and device.events()[-1][0] == event


def test_a_lost_meter_within_a_limit_ends_the_transaction_open():
    device = limited()
    device.meter.lose()
    device.clock.now_ms += 60_000
    device.rounds()
    assert not device.relay.closed
    device.meter.lose(False)
    device.rounds()
    assert device.events()[-1] == (record.FAILSAFE, codes.METER_LOST)


def test_a_limit_that_meets_a_silent_meter_binds_all_the_same():
    device = started()
    device.command(record.BEGIN)
    device.meter.silent = True
    assert limit(device, 0, 60).code != 0
    assert not device.relay.closed
    device.meter.silent = False
    device.clock.now_ms += 60_000
    device.rounds()
    assert device.relay.closed
