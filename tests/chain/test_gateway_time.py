"""Legal time from the administrator: set, kept, lost and regained, as records and boxes see it."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chains import until
from smgw_bench import UUID, Bench, announce
from smgw_bench import running as gateway

from clsbench.clock import BenchClock
from clsbench.errors import BadInput
from clsbench.gwa.config import GwaConfig
from clsbench.gwa.service import GwaService
from clsbench.gwa.time_server import TimeServer
from clsbench.pki.layout import DEFAULT_GWA, DEFAULT_SMGW, Pki
from clsbench.smgw.config_wan import TimeSection
from clsbench.smgw.core import ntp
from clsbench.smgw.core.legal_time import QUARTER_MS
from clsbench.smgw.core.logs import CALIBRATION_LOG, SYSTEM_LOG
from clsbench.smgw.core.ntp import Packet, Upstream

SPEED = 100  # a minute is 0.6 s; nine seconds of round trip are 90 ms
OFF_MS = 90_000
POLL_S = 60


class Timed:
    """A gateway whose oscillator starts OFF_MS wrong, and its administrator's time server."""

    def __init__(self, bench: Bench, server: TimeServer, clock: BenchClock):
        self.bench, self.server, self.clock = bench, server, clock

    async def told(self) -> dict:
        """What a control box is told of the time."""
        async with self.bench.box() as box, box.get(self.bench.url("rts/time")) as answer:
            assert answer.status == 200
            return await answer.json()

    async def told_rightly(self, bound_ms: int) -> None:
        """A box is told a time that is right within this bound, however long the way takes."""
        before_ms = self.clock.now_ms()
        told_ms = (await self.told())["utc_ms"]
        assert before_ms - bound_ms < told_ms < self.clock.now_ms() + bound_ms

    async def when(self, state: str) -> dict:
        """What boxes are told, once it is this state."""
        told = {}
        for _ in range(400):
            told = await self.told()
            if told["state"] == state:
                return told
            await asyncio.sleep(0.05)
        raise AssertionError(f"{state} did not come: {told}")

    async def record(self, number: int) -> dict:
        """The record of an event that is announced now."""
        uuid = UUID[:-2] + f"{number:02}"
        async with self.bench.box() as box:
            status, answer = await announce(box, self.bench, uuid=uuid)
        assert status == 200, answer
        return (await self.bench.gateway.worker.run(self.rows, uuid))[0]

    def rows(self, uuid: str) -> list[dict]:
        """Gateway records of an event, opened. In the store's thread."""
        rows = self.bench.gateway.store.database.execute(
            "SELECT content FROM gateway_records WHERE uuid = ?", (uuid,)
        )
        return [json.loads(content) for (content,) in rows]


@contextlib.asynccontextmanager
async def running(pki: Pki, folder: Path, drift_ppm: int = 50, **more) -> AsyncIterator[Timed]:
    clock = BenchClock(SPEED, more.pop("utc_ms", None))
    content = {
        "gwa": {"name": DEFAULT_GWA, "state_dir": folder / "gwa", "clock": clock.spec()},
        "pki": {"dir": pki.directory},
        "smgw": [{"id": DEFAULT_SMGW}],
        "time": {"stratum": 1, "synchronised": more.pop("synchronised", True)},
    }
    gwa = GwaService(GwaConfig.model_validate(content))
    ports = await gwa.start()
    assert gwa.time is not None
    section = {"source": "ntp", "port": ports["time"], "poll_s": POLL_S, "drift_ppm": drift_ppm}
    section |= {"oscillator_offset_ms": OFF_MS} | more
    try:
        async with gateway(pki, folder, smgw={"clock": clock.spec()}, time=section) as bench:
            yield Timed(bench, gwa.time, clock)
    finally:
        await gwa.stop()


async def test_the_first_answer_sets_the_clock_and_boxes_and_records_get_it(pki, tmp_path):
    async with running(pki, tmp_path) as timed:
        told = await timed.when("synchronised")
        assert 0 < told["bound_ms"] < 9_000
        await timed.told_rightly(9_000)
        before_ms = timed.clock.now_ms()
        record = await timed.record(1)
        assert record["time_state"] == "synchronised"
        assert record["status"].startswith("A0000000")  # bit 9, time not valid, is not set
        after_ms = timed.clock.now_ms()
        assert before_ms - OFF_MS / 2 < record["captured_ms"] < after_ms + OFF_MS / 2
        (first, *_) = timed.bench.events("time.answer")
        assert first["detail"]["outcome"] == "set"
        assert abs(first["detail"]["correction_ms"] + OFF_MS) < 9_000
        log = await timed.bench.log(CALIBRATION_LOG)
        assert [entry.event for entry in log if entry.event.startswith("time.")] == [
            "time.set",
            "time.state",
        ]


async def test_an_unset_clock_makes_no_due_times_and_its_events_are_not_for_billing(pki, tmp_path):
    due_ms = (time.time_ns() // 10**6 // QUARTER_MS + 1) * QUARTER_MS
    # the oscillator, so far ahead, passes the quarter hour while no answer came yet; then there
    # are 4 s for one until the quarter hour itself
    ahead_ms = 420_000
    start = {"utc_ms": due_ms - ahead_ms - 100_000, "synchronised": False}
    start["oscillator_offset_ms"] = ahead_ms
    async with running(pki, tmp_path, **start) as timed:
        told = await timed.told()
        assert (told["state"], told["bound_ms"]) == ("unset", None)
        record = await timed.record(1)
        assert record["time_state"] == "unset"
        assert record["status"].startswith("A0400000")  # bit 9: time not valid
        await until(lambda: timed.bench.events("time.ignored"))
        refusal = timed.bench.events("time.ignored")[0]
        assert "not-synchronised" in refusal["detail"]["reason"]
        await timed.clock.sleep_until_ms(due_ms - ahead_ms + 20_000)
        assert (await timed.told())["utc_ms"] > due_ms + 9_000
        assert timed.bench.events("taf7.record") == timed.bench.events("taf7.gap") == []
        timed.server.upstream = lambda utc_ns: Upstream(1, synchronised_ns=utc_ns)
        await timed.when("synchronised")
        await timed.bench.until("taf7.record", seconds=20)
        (made,) = timed.bench.events("taf7.record")
        assert made["detail"]["due_ms"] == due_ms and timed.bench.events("taf7.gap") == []
        log = await timed.bench.log(SYSTEM_LOG)
        assert sum(entry.event == "time.ignored" for entry in log) == 1  # told once


async def test_without_answers_the_bound_grows_past_27_s_and_comes_back(pki, tmp_path):
    async with running(pki, tmp_path, drift_ppm=50_000) as timed:
        await timed.when("synchronised")
        timed.server.upstream = lambda utc_ns: Upstream(synchronised_ns=None)
        told = await timed.when("holdover")  # 27 s at a twentieth are 540 s
        assert told["bound_ms"] >= 27_000
        record = await timed.record(1)
        assert record["time_state"] == "holdover" and record["status"].startswith("A0400000")
        timed.server.upstream = lambda utc_ns: Upstream(1, synchronised_ns=utc_ns)
        await timed.when("synchronised")
        assert (await timed.record(2))["status"].startswith("A0000000")
        states = [event["detail"]["state"] for event in timed.bench.events("time.state")]
        assert states == ["synchronised", "holdover", "synchronised"]


async def test_a_server_a_thousand_seconds_off_moves_nothing_while_synchronised(pki, tmp_path):
    async with running(pki, tmp_path) as timed:
        await timed.when("synchronised")
        timed.server.offset_ns = 1_100 * 10**9
        await until(lambda: timed.bench.events("time.ignored"))
        assert "jump" in timed.bench.events("time.ignored")[0]["detail"]["reason"]
        assert (await timed.told())["state"] == "synchronised"
        await timed.told_rightly(60_000)
        timed.server.offset_ns = 500 * 10**9  # less than that: believed when it is said twice
        await until(
            lambda: (
                [
                    event["detail"]["outcome"]
                    for event in timed.bench.events("time.answer")
                    if event["detail"]["outcome"] in ("doubted", "stepped")
                ][:2]
                == ["doubted", "stepped"]
            )
        )


async def test_never_two_requests_within_a_minute_and_other_answers_are_read_past(
    pki, tmp_path, monkeypatch
):
    sent, asked, request, answer = [], [], ntp.request, TimeServer._answer

    def asking(stamp):
        sent.append(time.monotonic())
        return request(stamp)

    def noting(self, peer, data, received_ns, writer):
        asked.append(data)
        writer.write(Packet(mode=4, stratum=2, origin=1, transmit=1 << 40).encode())
        return answer(self, peer, data, received_ns, writer)

    monkeypatch.setattr(TimeServer, "_answer", noting)
    monkeypatch.setattr(ntp, "request", asking)
    async with running(pki, tmp_path) as timed:
        await timed.when("synchronised")
        await until(lambda: len(asked) >= 5)
        sync = timed.bench.gateway.time_sync
        assert sync is not None and sync.ignored["origin"] >= 4
    pauses = [later - one for one, later in zip(sent, sent[1:], strict=False)]
    assert min(pauses) > (POLL_S - 5) / SPEED
    for data in asked:
        assert data[:40].hex() == "23000020" + "00" * 36
    assert len({data[40:] for data in asked}) == len(asked)


async def test_a_server_that_goes_is_told_once_and_found_again(pki, tmp_path):
    async with running(pki, tmp_path) as timed:
        await timed.when("synchronised")
        await timed.server.close()
        await until(lambda: len(timed.bench.events("time.open")) >= 2)
        assert (await timed.told())["state"] == "synchronised"


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"source": "ntp"}, "needs the port"),
        ({"poll_s": 59}, "greater than or equal to 60"),
        ({"source": "ntp", "port": 1, "oscillator_drift_ppm": 51}, "more than drift_ppm"),
    ],
)
def test_what_cannot_be_configured_says_why(section, reason):
    with pytest.raises((ValueError, BadInput), match=reason):
        TimeSection.model_validate(section)
