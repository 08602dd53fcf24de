"""The CLS channel from end to end: real firmware, SMGW, GWA and aEMT as processes."""

import pytest
from chains import running

from clsbench.bench.chain import ChainOptions


@pytest.mark.parametrize("opened_by", ["cls", "emt", "smgw"])
async def test_a_transaction_over_the_channel_whoever_opens_it(tmp_path, opened_by):
    async with running(tmp_path, ChainOptions(channel=opened_by)) as run:
        await run.transaction()
        await run.delivered()
        up = run.told("cls-channel")
        assert [event["detail"]["state"] for event in up] == ["up"]
