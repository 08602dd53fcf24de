"""A MID meter that is silent, late or garbled never yields a false reading or a closed relay."""

import asyncio
import uuid as uuidlib

import pytest
import pytest_asyncio
from chains import events, lone_board, status_when, until

from clsbench.bench.chain import ChainOptions
from clsbench.device.records import open_record

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_OPEN, NOT_HEALTHY = 4, 5
NO_VALUES = 1  # bit of the status
TIMEOUT, CRC, EXCEPTION = 20, 22, 27


@pytest_asyncio.fixture(loop_scope="module")
async def run(run):
    """Left with a good reading behind the last fault: a bad reply may be under way still."""
    yield run
    run.chain.plant.meter.set_faults()
    link = run.observer.link
    before = (await link.status())["meter"]["good_reads"]
    await status_when(link, lambda status: status["meter"]["good_reads"] > before)


async def asked(run, action: str, uuid: str | None = None) -> dict:
    """What the device answers to a command through the whole chain."""
    return await run.chain.operator.switch(
        run.chain.names.cls, action, uuid=uuid, text="chain test"
    )


async def meter_is(run, healthy: bool) -> None:
    """Waits until the device holds the meter for good, or for lost."""

    for _ in range(400):
        if (await run.observer.link.status())["meter"]["healthy"] == healthy:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"meter did not become healthy={healthy}")


async def refusal_recorded(run, answer: dict, code: int) -> None:
    """The command's only record says that it was refused, why, and that there is no reading."""
    records = [r for r in await run.observer.collect() if r.uuid == answer["uuid"]]
    (record,) = records
    assert (record.seq, record.event, record.cause) == (answer["seq"], "refused", code)
    assert not record.values and record.status == NO_VALUES and record.captured_ms


@pytest.mark.parametrize(
    ("faults", "code", "event"),
    [
        ({"silent": True}, TIMEOUT, "device.meter_timeout"),
        ({"crc_errors": True}, CRC, "device.meter_crc"),
        ({"exception": 2}, EXCEPTION, "device.meter_exception"),
    ],
)
async def test_no_reading_at_the_begin_opens_the_relay_again(run, faults, code, event):
    await meter_is(run, True)
    run.chain.plant.meter.set_faults(**faults)
    answer = await asked(run, "begin")
    assert answer["code"] == code
    assert "relay opened again" in answer["text"]
    await refusal_recorded(run, answer, code)
    assert not run.relay_closed
    await run.fault(event, "")
    (told,) = await until(lambda: run.told("switch.answer"))
    assert told["ok"] is False and told["detail"]["code"] == code
    assert [
        e["detail"]["closed"] for e in run.told("relay.closed") + run.told("relay.opened")
    ] == [
        True,
        False,
    ]


async def test_a_meter_known_to_be_lost_lets_nothing_be_switched_on(run):
    run.chain.plant.meter.set_faults(silent=True)
    await meter_is(run, False)
    answer = await asked(run, "begin")
    assert answer["code"] == NOT_HEALTHY
    await refusal_recorded(run, answer, NOT_HEALTHY)
    await run.fault("device.meter_lost", "")
    await run.fault("device.meter_unhealthy", "")
    assert not run.told("relay.closed")
    run.chain.plant.meter.set_faults()
    await meter_is(run, True)


async def test_a_meter_lost_during_a_transaction_opens_the_relay_and_ends_it_as_failsafe(run):
    uuid = await run.begin()
    run.chain.plant.meter.set_faults(silent=True)
    await until(lambda: not run.relay_closed, what="the open relay")
    await run.fault("device.meter_lost", "")
    assert await run.ends_of(uuid) == []
    await run.refused_by_device(20, "end", uuid)
    run.chain.plant.meter.set_faults()
    await run.witnessed(uuid, "failsafe")
    again = await asked(run, "end", uuid)
    assert not run.relay_closed
    assert await run.ends_of(uuid) == ["failsafe"]
    assert again["code"] == TIMEOUT and "follows when the meter answers" in again["text"]


async def test_an_end_without_reading_opens_the_relay_and_is_recorded_when_the_meter_is_back(run):
    uuid = await run.begin()
    run.chain.plant.meter.set_faults(silent=True)
    answer = await asked(run, "end", uuid)
    assert answer["code"] == TIMEOUT and "the end record follows" in answer["text"]
    assert not run.relay_closed
    await run.fault("device.meter_timeout", "")
    run.chain.plant.meter.set_faults()
    await run.witnessed(uuid)
    assert await run.ends_of(uuid) == ["end"]


async def test_a_single_crc_error_costs_a_repeat_and_nothing_else(run):
    before = (await run.ready())["meter"]
    run.chain.plant.meter.set_faults(crc_errors=True, replies=1)
    await run.transaction()
    after = (await run.ready())["meter"]
    assert after["discarded"]["crc"] == before["discarded"]["crc"] + 1
    assert after["failed_reads"] == before["failed_reads"]
    (garbled,) = [event for event in run.told("modbus.reply") if not event["ok"]]
    assert garbled["raw"]


async def test_a_late_reply_is_never_the_reading_of_a_later_event(tmp_path):
    # few polls, so that the readings of two events follow each other on the line
    async with lone_board(tmp_path, ChainOptions(device={"poll_ms": 5000})) as (chain, link):
        await link.set_time(chain.clock.now_ms(), 10)
        await asyncio.sleep(0.3)
        switched_ms = {}
        # a reply within twice the time-out is absorbed; a later one may cost the command
        for slow_ms, allowed in ((420, [0]), (700, [0, NOT_OPEN, TIMEOUT])):
            uuid = uuidlib.uuid4()
            for action in ("begin", "end"):
                chain.plant.meter.set_faults(slow_ms=slow_ms, replies=1)  # and then quick again
                switched_ms[str(uuid), action] = chain.clock.now_ms()
                code, _, text = await link.command(action, uuid.bytes)
                assert code in allowed, text
            chain.plant.meter.set_faults()
        key = chain.key_file.read_bytes()
        records = [open_record(sealed, key) for _, sealed in await link.records()]
        replies = [event for event in events(chain) if event["name"] == "modbus.reply"]
        assert len(records) >= 2
        for record in records:
            if record.event == "boot":
                continue
            came = [r for r in replies if r["t_ns"] // 1_000_000 <= record.captured_ms + 5]
            assert came[-1]["detail"]["captured_ms"] >= switched_ms[record.uuid, record.event]


async def test_a_meter_too_slow_for_its_bus_is_refused_and_never_believed(run):
    await meter_is(run, True)
    run.chain.plant.meter.set_faults(slow_ms=1500)
    answer = await asked(run, "begin")
    assert answer["code"] == TIMEOUT and not run.relay_closed
    await run.fault("device.meter_timeout", "")
    await meter_is(run, False)
    run.chain.plant.meter.set_faults()
    await meter_is(run, True)
