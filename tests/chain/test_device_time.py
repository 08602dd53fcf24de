"""Legal time on the whole device: the gateway goes and comes, its clock is set both ways."""

import asyncio

from chains import lone_board, running, until

from clsbench.bench.chain import ChainOptions
from clsbench.clock import BenchClock
from clsbench.device.records import NO_VALUES, STEPPED, check_chain, open_record
from dicamm import codes

SPEED = 300  # a quarter hour is 3 s
PERIOD_MS = 900_000
HOUR_MS = 3_600_000
WRONG_MS = 31 * 60_000  # jumps over two quarter hours at least


async def quarter_hours(link, key, claim, seconds=40):
    """All records once `claim` is true of those of TAF7, and no record is out of order."""
    async with asyncio.timeout(seconds):
        while True:
            found = [open_record(sealed, key) for _, sealed in await link.records()]
            grid = [record for record in found if record.taf == 7]
            if claim(grid):
                assert check_chain(found) == []
                return grid
            await asyncio.sleep(0.1)


def stated(grid) -> list[int]:
    """The quarter hours that the records name, in their order."""
    return [
        due_ms
        for record in grid
        for due_ms in range(record.first_due_ms or record.event_ms, record.event_ms + 1, PERIOD_MS)
    ]


def stepped(record) -> bool:
    """Whether it names quarter hours that the clock jumped over.

    One alone may be the quarter hour whose reading came too late: it has 30 ms at this speed.
    """
    return record.cause == codes.TIME_STEPPED and len(stated([record])) > 1


def each_once(grid) -> None:
    """Every quarter hour from the first to the last has one reading or one explicit gap."""
    due = stated(grid)
    assert due == list(range(due[0], due[-1] + 1, PERIOD_MS))
    for record in grid:
        assert bool(record.values) != bool(record.status & NO_VALUES)
        assert bool(record.values) != bool(record.cause)


async def test_a_clock_set_forward_and_back_repeats_and_invents_no_quarter_hour(tmp_path):
    async with lone_board(tmp_path, ChainOptions(speed=SPEED)) as (chain, link):
        key = chain.key_file.read_bytes()
        await link.set_time(chain.clock.now_ms(), 1000)
        await quarter_hours(link, key, lambda grid: grid)
        await link.set_time(chain.clock.now_ms() + 5 * HOUR_MS, 1000)
        forward = await quarter_hours(
            link, key, lambda grid: grid[-1].values and any(stepped(r) for r in grid)
        )
        (gap,) = (record for record in forward if stepped(record))
        assert gap.status == NO_VALUES | STEPPED
        assert 19 <= len(stated([gap])) <= 23  # those just before and behind may have been late
        await link.set_time(chain.clock.now_ms() + 5 * HOUR_MS - 2 * PERIOD_MS, 1000)
        await asyncio.sleep(3.1)  # more than a quarter hour that was read already
        back = await quarter_hours(link, key, lambda grid: grid)
        assert len(back) <= len(forward) + 1  # one may have come before the clock was set
        after = await quarter_hours(
            link, key, lambda grid: len(grid) > len(back) and grid[-1].values
        )
        assert after[len(back)].status & STEPPED
        each_once(after)
        assert [code for _, code, _ in await link.logs()].count(codes.TIME_STEPPED) == 2


async def test_the_gateway_goes_its_clock_is_wrong_for_a_while_and_it_comes_back(tmp_path):
    async with running(tmp_path, ChainOptions(speed=SPEED)) as run:
        chain, link = run.chain, run.observer.link
        key = chain.key_file.read_bytes()
        before = await quarter_hours(link, key, lambda grid: grid)
        await chain.roles["smgw"].kill()
        away = await quarter_hours(link, key, lambda grid: len(grid) >= len(before) + 2)
        assert {record.time_state for record in away} == {"synchronised"}
        right = chain.clock
        for shift_ms, count in ((WRONG_MS, 1), (0, 2)):
            chain.clock = BenchClock(right.speed, right.utc_ms + shift_ms, right.mono_ns)
            await chain.roles["smgw"].kill()
            await chain.start_role("smgw")
            # the second answer that says so is believed
            await until(lambda count=count: len(run.told("device.time_stepped")) == count)
        told = len(await quarter_hours(link, key, lambda grid: grid))
        after = await quarter_hours(link, key, lambda grid: len(grid) > told and grid[-1].values)
        assert any(stepped(record) for record in after)
        assert after[told].status & STEPPED or after[told - 1].status & STEPPED
        each_once(after)
        await run.transaction()
