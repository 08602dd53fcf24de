"""The gateway's WAN side against the real GWA and aEMT, over TLS; the control box is a client."""

import asyncio
import json
import signal
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from smgw_bench import Bench, Meter, event_body, running
from wan_edge import EMT, GWA, SMGW, UUID, device_record, emt_config, gwa_config

from clsbench.emt.operator import OperatorClient
from clsbench.emt.service import EmtService
from clsbench.errors import BadInput, EnvironmentProblem, PeerRefused
from clsbench.gwa.service import GwaService
from clsbench.pki.layout import DEFAULT_CLS, Pki
from clsbench.smgw.config import load_config

OTHER_CLS = "ETST0020000018"


class Wan:
    """GWA and aEMT, each can be stopped and started again on its ports."""

    def __init__(self, pki: Pki, folder, socket: str):
        self.pki, self.folder, self.socket = pki, folder, socket
        self.emt_ports: dict[str, int] = {}

    async def start(self) -> None:
        self.gwa = GwaService(gwa_config(self.pki, self.folder))
        self.gwa_ports = await self.gwa.start()
        await self.start_emt()

    async def start_emt(self) -> None:
        config = emt_config(self.pki, self.folder, self.gwa_ports["service"], self.socket)
        again = {
            name: getattr(config, name).model_copy(update={"port": port})
            for name, port in self.emt_ports.items()
        }
        self.emt = EmtService(config.model_copy(update=again))
        self.emt_ports = await self.emt.start()

    def config(self) -> dict[str, dict]:
        """What of the gateway's configuration depends on the ports."""
        ports = {f"{name}_port": self.emt_ports[name] for name in ("channel", "delivery")}
        return {"gwa": {"name": GWA, "port": self.gwa_ports["management"]}, "emt": ports}


@pytest.fixture
async def wan(pki, tmp_path):
    with tempfile.TemporaryDirectory(prefix="emt") as short:
        started = Wan(pki, tmp_path, f"{short}/op")
        await started.start()
        yield started
        await started.emt.stop()
        await started.gwa.stop()


@asynccontextmanager
async def box_at_work(bench: Bench, code: int = 0):
    """A control box that fetches commands, announces each as an event, then answers it."""

    async def work() -> None:
        async with bench.box() as box:
            while True:
                async with box.get(bench.url("rts/command/?wait_ms=5000")) as poll:
                    if poll.status != 200:
                        continue
                    command = await poll.json()
                names = ("uuid", "text", "event_ms")
                body = event_body(event=command["action"], **{n: command[n] for n in names})
                async with box.post(bench.url("fas/event"), json=body) as told:
                    assert told.status == 200
                answer = {"code": code, "seq": 5, "text": "done"}
                path = f"rts/command/{command['id']}"
                async with box.post(bench.url(path), json=answer) as taken:
                    assert taken.status == 204

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_command_reaches_the_box_and_both_records_reach_the_market_participant(
    wan, pki, tmp_path
):
    async with running(pki, tmp_path, **wan.config()) as bench, OperatorClient(wan.socket) as op:
        async with box_at_work(bench):
            begin = await op.switch(DEFAULT_CLS, "begin", uuid=UUID, text="Ladevorgang 7")
            end = await op.switch(DEFAULT_CLS, "end", uuid=UUID, text="Ladevorgang 7")
        assert (begin["code"], begin["seq"], end["code"]) == (0, 5, 0)
        async with bench.box() as box:
            body = device_record(1) + device_record(2)
            async with box.post(bench.url("rts/record/"), data=body) as answer:
                assert await answer.json() == {"acknowledged": 2, "beyond": []}
        await bench.until("record.device", 2)
        records = await op.records()
        assert [record["seq"] for record in records] == [1, 2]
        assert await bench.undelivered() == []
        assert [e["uuid"] for e in bench.events("command.in")] == [UUID, UUID]
        consumer = [entry.event for entry in (await bench.log("consumer/consumer1"))]
        # the begin and the end: forwarded, recorded, answered
        assert consumer == ["command.open", "record.written", "command.answered"] * 2


async def test_a_command_without_right_reaches_no_box(wan, pki, tmp_path):
    config = wan.config()
    async with running(pki, tmp_path, taf={"wan_source": False}, **config) as bench:
        async with OperatorClient(wan.socket) as op, box_at_work(bench):
            with pytest.raises(PeerRefused, match="no WAN source"):
                await op.switch(DEFAULT_CLS, "begin", uuid=UUID)
        (refused,) = bench.events("wan.refused")
        assert refused["uuid"] == UUID and refused["detail"]["status"] == 403
        assert bench.events("command.forwarded") == []


async def test_a_silent_box_is_told_to_the_market_participant_and_a_repeat_reaches_it(
    wan, pki, tmp_path
):
    config = wan.config() | {"timing": {"command_s": 0.3}}
    async with running(pki, tmp_path, **config) as bench, OperatorClient(wan.socket) as op:
        asked = asyncio.create_task(op.switch(DEFAULT_CLS, "begin", uuid=UUID))
        await bench.until("wan.refused")
        assert bench.events("wan.refused")[0]["detail"]["status"] == 504
        async with box_at_work(bench):
            assert (await asked)["code"] == 0


async def test_records_wait_for_a_market_participant_that_is_away(wan, pki, tmp_path):
    async with running(pki, tmp_path, **wan.config()) as bench, bench.box() as box:
        await wan.emt.stop()
        for event in ("begin", "end"):
            async with box.post(bench.url("fas/event"), json=event_body(event=event)) as told:
                assert told.status == 200
        await bench.until("delivery.failed")
        assert len(await bench.undelivered()) == 2
    # the gateway restarts, too, before the market participant is back
    async with running(pki, tmp_path, pushing=False, **wan.config()) as bench:
        await wan.start_emt()
        await bench.until("record.gateway", 2)
        async with OperatorClient(wan.socket) as op:
            assert [record["seq"] for record in await op.records()] == [1, 2]


async def test_a_device_record_that_is_refused_holds_up_no_other(wan, pki, tmp_path):
    async with running(pki, tmp_path, **wan.config()) as bench, bench.box() as box:
        body = device_record(1) + device_record(2, key=b"wrong") + device_record(3)
        async with box.post(bench.url("rts/record/"), data=body) as answer:
            assert (await answer.json())["acknowledged"] == 3
        await bench.until("record.device", 2)
        seqs = [event["detail"]["seq"] for event in bench.events("record.device")]
        assert seqs == [1, 3]
        await bench.until("delivery.failed")


async def test_a_market_participant_that_lost_its_store_gets_all_again(wan, pki, tmp_path):
    async with running(pki, tmp_path, **wan.config()) as bench, bench.box() as box:
        for number in (1, 2):
            async with box.post(bench.url("rts/record/"), data=device_record(number)):
                pass
            async with box.post(
                bench.url("fas/event"), json=event_body(event=("begin", "end")[number - 1])
            ) as told:
                assert told.status == 200
        await bench.until("record.gateway", 2)
        await bench.until("record.device", 2)
        await wan.emt.stop()
        for path in (tmp_path / "emt").glob("emt.sqlite*"):
            path.unlink()
        await wan.start_emt()
        async with box.post(bench.url("rts/record/"), data=device_record(3)):
            pass
        async with box.post(bench.url("fas/event"), json=event_body(event="failsafe")) as told:
            assert told.status == 200
        await bench.until("record.device", 5)
        await bench.until("record.gateway", 5)
        async with OperatorClient(wan.socket) as op:
            assert [row["seq"] for row in await op.device_records()] == [1, 2, 3]
            assert [row["seq"] for row in await op.records()] == [1, 2, 3]


async def test_after_a_restart_of_the_gateway_the_connect_comes_again(wan, pki, tmp_path):
    async with OperatorClient(wan.socket) as op:
        async with running(pki, tmp_path, **wan.config()) as bench, box_at_work(bench):
            await op.switch(DEFAULT_CLS, "begin", uuid=UUID)
        async with running(pki, tmp_path, **wan.config()) as bench, box_at_work(bench):
            await bench.until("connect", 2)
            assert (await op.switch(DEFAULT_CLS, "end", uuid=UUID))["code"] == 0


async def test_the_channel_comes_back_when_the_market_participant_does(wan, pki, tmp_path):
    async with running(pki, tmp_path, **wan.config()) as bench, box_at_work(bench):
        async with OperatorClient(wan.socket) as op:
            await op.switch(DEFAULT_CLS, "begin", uuid=UUID)
        await wan.emt.stop()
        await bench.until("channel.closed")
        await wan.start_emt()
        async with OperatorClient(wan.socket) as op:
            assert (await op.switch(DEFAULT_CLS, "end", uuid=UUID))["code"] == 0


async def test_a_connect_to_nobody_is_void(wan, pki, tmp_path):
    config = wan.config()
    config["emt"]["channel_port"] = 9  # nobody listens there
    timing = {"connect_s": 0.3}
    async with running(pki, tmp_path, timing=timing, **config) as bench:
        await bench.until("channel.open")  # management
        emt = bench.gateway.profiles.emts[0]
        with pytest.raises(Exception, match="channel to flexmarkt"):
            await bench.gateway.channels.connect(emt, 0.3)
        assert bench.gateway.channels.states() == {}
        good = replace(emt, channel=replace(emt.channel, port=wan.emt_ports["channel"]))
        await bench.gateway.channels.connect(good, 20)
        assert bench.gateway.channels.states() == {EMT: "open"}
        assert await bench.gateway.channels.disconnect(EMT)
        assert not await bench.gateway.channels.disconnect(EMT)


TOML = """
[smgw]
id = "{smgw}"
state_dir = "smgw"
event_log = "events"
clock = ""

[pki]
dir = "{pki}"

[gwa]
name = "{gwa}"
port = 9

[[emt]]
name = "{emt}"
channel_port = 9
delivery_port = 9
cls_ids = ["{cls}"]

[[lmn]]
port = "{lmn}"
meter_id = "1EMH0098765432"
obis = ["1-0:1.8.0"]

[[taf]]
id = "taf16-1"
number = 16
meter_id = "1EMH0098765432"
final_consumer = "consumer1"
emt = "{emt}"
event_sources = ["{cls}"]
wan_source = true

[[cls]]
cls_id = "{cls}"
"""


def written(folder, pki, lmn_port):
    path = folder / "smgw.toml"
    fields = {"smgw": SMGW, "pki": pki.directory, "gwa": GWA, "emt": EMT}
    path.write_text(TOML.format(**fields, cls=DEFAULT_CLS, lmn=lmn_port))
    return path


async def serve(path):
    command = "from clsbench.cli.main import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", command, "smgw", "serve", "--config", str(path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    ready = json.loads(await process.stdout.readline())
    assert ready["ready"] is True and ready["role"] == "smgw"
    return process, ready["ports"]["han"]


async def test_the_process_killed_between_events_goes_on_where_it_was(pki, tmp_path):
    meter = Meter()
    path = written(tmp_path, pki, meter.port)
    pusher = asyncio.create_task(meter.run())
    seqs = []
    for name in ("begin", "end", "begin"):
        process, port = await serve(path)
        bench = Bench(pki, tmp_path, meter, None, port)
        async with bench.box() as box:
            body = event_body(event=name)
            async with box.post(bench.url("fas/event"), json=body) as answer:
                seqs.append((await answer.json())["seq"])
            process.send_signal(signal.SIGKILL)
        await process.wait()
    assert seqs == [1, 2, 1]
    pusher.cancel()
    meter.close()


async def test_sigterm_ends_the_process_cleanly_though_a_box_waits(pki, tmp_path):
    meter = Meter()
    process, port = await serve(written(tmp_path, pki, meter.port))
    bench = Bench(pki, tmp_path, meter, None, port)
    async with bench.box() as box:
        poll = asyncio.create_task(box.get(bench.url("rts/command/?wait_ms=20000")))
        await bench.until("tls.accepted")
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        rest = await asyncio.wait_for(process.stdout.read(), 40)
        assert rest == b"" and await process.wait() == 0
        with suppress(Exception):
            await poll
    assert bench.events("stop")
    meter.close()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('meter_id = "1EMH0098765432"\nfinal', 'meter_id = "1X"\nfinal', "meter_id '1X'"),
        ("number = 16", "number = 8", "number 8"),
        ("number = 16", "", "taf.0.number"),
        ("wan_source = true", "wan_sauce = true", "wan_sauce"),
        ('obis = ["1-0:1.8.0"]', 'obis = ["energy"]', "OBIS 'energy'"),
        ("port = 9", 'port = "x"', "port"),
        ('cls_id = "ETST0020000017"', 'cls_id = "ETST0020000077"', "ETST0020000077"),
        ("[gwa]", "[gwa", "not TOML"),
    ],
)
def test_a_wrong_configuration_is_refused_naming_its_place(pki, tmp_path, old, new, named):
    path = written(tmp_path, pki, "/dev/null")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput, match=named):
        load_config(path).profiles()


async def test_two_gateways_on_one_state_are_refused(pki, tmp_path):
    async with running(pki, tmp_path) as bench:
        with pytest.raises(EnvironmentProblem, match="in use"):
            async with running(pki, tmp_path, meter=bench.meter):
                pass


async def test_a_port_that_is_taken_is_named(pki, tmp_path):
    async with running(pki, tmp_path) as bench:
        han = {"port": bench.port}
        smgw = {"state_dir": str(tmp_path / "second")}
        with pytest.raises(EnvironmentProblem, match=str(bench.port)):
            async with running(pki, tmp_path, meter=bench.meter, han=han, smgw=smgw):
                pass
