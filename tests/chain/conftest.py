"""The chain that the tests of one file share: started once, left whole by every test."""

import time

import pytest
import pytest_asyncio
from chains import running, until
from quarter import no_quarter_hour, pause_s

LASTS_S = 20.0  # no test of a shared board is as long


@pytest.fixture
def between_quarter_hours():
    """The wall's next quarter hour is not in this test."""
    time.sleep(pause_s(LASTS_S))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory):
    """A `chains.Run` for the whole file."""
    async with running(tmp_path_factory.mktemp("chain")) as run:
        # the record of the start is the gateway's too: no test finds it among its own
        await until(lambda: [e for e in run.told("record.written") if e["detail"]["taf"] == 16])
        yield run
        await run.transaction()
        await run.delivered()
        await run.gateway_gapless()


@pytest_asyncio.fixture(loop_scope="module")
async def run(shared):
    """The shared chain, a new chapter of its event log, and the proof that it works afterwards."""
    await no_quarter_hour(LASTS_S)
    shared.mark()
    yield shared
    shared.chain.plant.meter.set_faults()
    assert not shared.relay_closed
    await shared.transaction()
