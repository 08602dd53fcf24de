"""The relay never waits for the bus: a command during a long read switches during that read."""

import uuid as uuidlib

import pytest
from chains import events, lone_board, until

from clsbench.bench.chain import Chain, ChainOptions

pytestmark = pytest.mark.wire

SLOW_MS = 250  # the meter takes so long for each reply, so that a read is nearly always under way


def told(chain: Chain, *names: str) -> list[dict]:
    """Events with one of these names, in the order they were logged."""
    return [event for event in events(chain) if event["name"] in names]


async def test_a_command_during_a_long_read_switches_before_the_read_is_over(tmp_path):
    options = ChainOptions(device={"poll_ms": 10})
    async with lone_board(tmp_path, options) as (chain, link):
        await link.set_time(chain.clock.now_ms(), 10)

        async def healthy() -> bool:
            return (await link.status())["meter"]["healthy"]

        while not await healthy():
            pass
        chain.plant.meter.set_faults(slow_ms=SLOW_MS)
        uuid = uuidlib.uuid4().bytes
        for action, name in (("begin", "relay.closed"), ("end", "relay.opened")):
            asked = len(told(chain, "modbus.request"))
            await until(lambda asked=asked: len(told(chain, "modbus.request")) > asked)
            before = len(events(chain))
            assert (await link.command(action, uuid))[0] == 0
            after = [event["name"] for event in events(chain)[before:]]
            edge = after.index(name)
            assert edge < after.index("modbus.reply")
            assert "modbus.request" not in after[:edge]
        assert told(chain, "relay.closed") and told(chain, "relay.opened")
