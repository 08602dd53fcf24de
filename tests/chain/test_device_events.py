"""Events that nobody commanded, and those that change or refuse: recorded by both witnesses, with
a reading of their own; the relay is safe before anything else."""

import asyncio
import uuid as uuidlib

import pytest
from chains import until

from clsbench.device.records import NO_VALUES
from dicamm import codes

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIN_TAMPER, PIN_POWER_FAIL = 3, 4
IMPORT = "1-0:1.8.0*255"


async def recorded(run, event: str, cause: int, after: int = 0):
    """The device's record of an event behind number `after`."""
    for _ in range(600):
        found = [r for r in await run.observer.collect() if r.seq > after and r.event == event]
        if found:
            assert len(found) == 1 and found[0].cause == cause, found
            return found[0]
        await asyncio.sleep(0.05)
    raise AssertionError(f"no {event} recorded")


async def told_to_the_gateway(run, record) -> None:
    """Waits until the aEMT holds the gateway's record of the same event."""
    for _ in range(600):
        held = await run.chain.operator.records()
        found = [r["content"] for r in held if r["uuid"] == record.uuid]
        if any(each["event"] == record.event for each in found):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"gateway has {found} of {record}")


async def newest(run) -> int:
    return max((record.seq for record in await run.observer.collect()), default=0)


def wh(record) -> int:
    """The import register in Wh."""
    value = record.value(IMPORT)
    return value.raw * 10**value.scaler


async def test_the_start_is_an_event_with_the_reading_of_the_start(run):
    boot = await recorded(run, "boot", 0)
    assert boot.seq == 1 and boot.values and boot.time_state == "synchronised"
    await told_to_the_gateway(run, boot)


@pytest.mark.parametrize(
    ("pin", "event"), [(PIN_TAMPER, "tamper"), (PIN_POWER_FAIL, "power-fail")]
)
async def test_an_alarm_input_opens_the_relay_and_ends_the_transaction(run, pin, event):
    uuid = await run.begin()
    before = await newest(run)
    run.chain.board.set_pin(pin, 1)
    try:
        await until(lambda: not run.relay_closed, what="the open relay")
        ended = await recorded(run, event, codes.INPUT_ACTIVE, before)
        assert ended.uuid == uuid and ended.values
        await run.witnessed(uuid, event)
        await run.fault("device.input_active", event)
        await run.refused_by_device(codes.INTERLOCKED, "begin", str(uuidlib.uuid4()))
    finally:
        run.chain.board.set_pin(pin, 0)
    await until(lambda: run.told("device.input_quiet"))


async def test_tamper_without_a_transaction_is_an_event_of_its_own(run):
    before = await newest(run)
    run.chain.board.set_pin(PIN_TAMPER, 1)
    try:
        alone = await recorded(run, "tamper", codes.INPUT_ACTIVE, before)
    finally:
        run.chain.board.set_pin(PIN_TAMPER, 0)
    assert alone.values
    await told_to_the_gateway(run, alone)
    await until(lambda: run.told("device.input_quiet"))


async def test_a_change_of_limit_is_read_recorded_and_told_once(run):
    uuid = await run.begin()
    operator, cls = run.chain.operator, run.chain.names.cls
    for _ in range(2):
        answer = await operator.switch(cls, "change", uuid=uuid, text="4200 W")
        assert answer["code"] == 0 and run.relay_closed
    change = await recorded(run, "change", 0)
    assert (change.seq, change.uuid, change.text) == (answer["seq"], uuid, "4200 W")
    await told_to_the_gateway(run, change)
    await run.end(uuid)
    records = {r.event: r for r in await run.observer.collect() if r.uuid == uuid}
    assert wh(records["begin"]) <= wh(change) <= wh(records["end"])


async def test_a_refused_command_is_recorded_with_a_reading_and_repeated_without_a_record(run):
    stranger = str(uuidlib.uuid4())
    await run.refused_by_device(codes.NOT_OPEN, "end", stranger)
    refused = await recorded(run, "refused", codes.NOT_OPEN, await newest(run) - 1)
    assert refused.uuid == stranger and refused.values
    await told_to_the_gateway(run, refused)
    link = run.observer.link
    again = await link.command("end", uuidlib.UUID(stranger).bytes)
    assert again[:2] == (codes.NOT_OPEN, refused.seq) and await newest(run) == refused.seq


async def test_a_meter_fault_is_told_at_once_and_the_failsafe_end_when_it_is_back(run):
    uuid = await run.begin()
    before = await newest(run)
    run.chain.plant.meter.set_faults(silent=True)
    fault = await recorded(run, "meter-fault", codes.METER_TIMEOUT, before)
    assert not run.relay_closed
    assert fault.status == NO_VALUES and not fault.values and fault.captured_ms
    await told_to_the_gateway(run, fault)
    run.chain.plant.meter.set_faults()
    ended = await recorded(run, "failsafe", codes.METER_LOST, before)
    assert ended.uuid == uuid and ended.values
    await run.witnessed(uuid, "failsafe")


async def test_a_kill_in_a_transaction_loses_and_invents_no_energy(run):
    uuid = await run.begin()
    await asyncio.sleep(1.5)  # some energy flows
    await run.observer.stop()
    boots = run.chain.board.boots
    run.chain.board.power_cut()
    await asyncio.to_thread(run.chain.board.wait_for_boot, boots + 1)
    await run.observer.start()
    await run.ready()
    await run.witnessed(uuid, "power-fail")
    records = {r.event: r for r in await run.observer.collect() if r.uuid == uuid}
    begin, end = records["begin"], records["power-fail"]
    assert end.cause == codes.POWER_FAIL_FOUND
    # the register stood still since the cut: what the next reading says, the end says
    next_uuid = await run.transaction()
    later = next(
        r for r in await run.observer.collect() if r.uuid == next_uuid and r.event == "begin"
    )
    assert wh(begin) <= wh(end) == wh(later)
    # repeats after the restart get the answers of before it
    raw = uuidlib.UUID(uuid).bytes
    assert (await run.observer.link.command("begin", raw))[:2] == (0, begin.seq)
    assert (await run.observer.link.command("end", raw))[:2] == (0, end.seq)


async def test_a_limit_opens_the_relay_for_its_time_and_both_witnesses_tell_its_end(run):
    uuid = await run.begin()
    cls, limit = run.chain.names.cls, str(uuidlib.uuid4())
    answer = await run.chain.operator.switch(
        cls, "limit", uuid=limit, limit_w=0, duration_s=1, text="grid"
    )
    assert answer["code"] == 0 and not run.relay_closed
    await until(lambda: run.relay_closed)
    over = await recorded(run, "change", codes.LIMIT_OVER, answer["seq"])
    await told_to_the_gateway(run, over)
    limited = next(r for r in await run.observer.collect() if r.seq == answer["seq"])
    assert (limited.uuid, limited.event, limited.text) == (limit, "change", "grid")
    # it lasts from the command on, whose reading comes a little later
    assert over.captured_ms - limited.captured_ms > 500 and over.text == "limit over"
    await run.end(uuid)


async def test_a_limit_without_a_transaction_is_refused_by_the_box(run):
    cls = run.chain.names.cls
    answer = await run.chain.operator.switch(cls, "limit", limit_w=0, duration_s=1)
    assert answer["code"] == codes.NOT_OPEN and not run.relay_closed
