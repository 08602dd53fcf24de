"""Legal time all the way: from the GWA's time server through the gateway into the DICAMM."""

import asyncio

from chains import running, status_when, until

from clsbench.bench.chain import ChainOptions
from clsbench.device.records import open_record
from dicamm import codes

SPEED = 120
OFF_MS = 300_000  # what the gateway's oscillator starts wrong by


async def until_logged(link, code: int) -> None:
    """The device's log has this code; fails the test after a while."""
    for _ in range(200):
        if code in {each for _, each, _ in await link.logs()}:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"code {code} was not logged")


async def test_the_device_has_the_time_of_a_gateway_that_was_set_by_its_time_server(tmp_path):
    time = {"oscillator_offset_ms": OFF_MS, "drift_ppm": 100_000}  # 27 s are 270 s of the clock
    options = ChainOptions(speed=SPEED, ntp=time)
    async with running(tmp_path, options) as run:
        chain = run.chain
        (first, *_) = run.told("time.answer")
        assert first["detail"]["outcome"] == "set"
        uuid = await run.transaction()
        key = chain.key_file.read_bytes()
        records = [open_record(sealed, key) for _, sealed in await run.observer.link.records()]
        (begin, end) = [each for each in records if each.uuid == uuid]
        (told,) = [e for e in run.switched() if e["detail"]["event"] == "end"]
        assert {begin.time_state, end.time_state} == {"synchronised"}
        # both witnesses stamp with the time of the time server, not of the gateway's oscillator
        assert abs(end.captured_ms - told["detail"]["captured_ms"]) < OFF_MS / 2
        now_ms = chain.clock.now_ms()
        assert 0 < now_ms - end.captured_ms < OFF_MS / 2
        gateway = [record["content"] for record in await chain.operator.records()]
        stated = {each["time_state"] for each in gateway if each.get("uuid") == uuid}
        assert stated == {"synchronised"}
        # without the time server the gateway's bound grows; a box that asks then is told so
        await chain.roles["gwa"].kill()
        await until(lambda: [e for e in run.told("time.state") if not e["ok"]], 60)
        assert run.told("time.state")[-1]["detail"]["state"] == "holdover"
        link = run.observer.link
        await until_logged(link, codes.GATEWAY_TIME_UNSET)
        await chain.start_role("gwa")
        await until(lambda: run.told("time.state")[-1]["ok"], 30)
        await status_when(link, lambda status: status["time"]["state"] == 1)
