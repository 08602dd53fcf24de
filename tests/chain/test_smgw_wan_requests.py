"""What the gateway answers on the WAN, asked with the certificates of GWA and aEMT."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from smgw_bench import METER, OTHER_CLS, UUID, event_body, running
from wan_edge import EMT, GWA, SMGW, until

from clsbench.net.listener import TlsListener
from clsbench.net.reverse import HttpOverStream, http_client_protocol
from clsbench.net.tls import wan_server
from clsbench.pki.layout import DEFAULT_CLS, Pki

CONNECT = "/smgw/gwa/v1/fas/connect"
DISCONNECT = "/smgw/gwa/v1/fas/disconnect"
EVENT = "/smgw/emt/v1/fas/event"
COMMAND = {
    "id": "0190c0de-0000-7000-8000-0000000000aa",
    "action": "begin",
    "uuid": UUID,
    "text": "t",
    "event_ms": 1,
    "taf_profile": "taf16-1",
}


class Partner:
    """Accepts the gateway's connections; `http`: the latest, to ask on."""

    def __init__(self, pki: Pki, triplet):
        self.streams: list[HttpOverStream] = []
        context = wan_server(triplet.tls, pki.wan_trust)
        self.listener = TlsListener(context, self._accept, lambda reason, address: None)

    def _accept(self, peer):
        assert (peer.role, peer.name) == ("SMGW", SMGW)
        return http_client_protocol(self.streams.append)

    async def post(self, path, content=None, **more):
        answer = await self.streams[-1].request("POST", path, json=content, **more)
        return answer.status, answer.json()


@asynccontextmanager
async def wan(pki, folder, **changed):
    gwa, emt = Partner(pki, pki.gwa), Partner(pki, pki.emt(EMT))
    gwa_port = await gwa.listener.start("127.0.0.1", 0)
    emt_port = await emt.listener.start("127.0.0.1", 0)
    config = {"gwa": {"name": GWA, "port": gwa_port}, "emt": {"channel_port": emt_port}}
    async with running(pki, folder, **config, **changed) as bench:
        await until(lambda: gwa.streams)
        yield bench, gwa, emt
    await gwa.listener.close()
    await emt.listener.close()


@pytest.fixture
async def connected(pki, tmp_path):
    async with wan(pki, tmp_path) as (bench, gwa, emt):
        assert await gwa.post(CONNECT, {"emt_id": EMT}) == (200, {"state": "open"})
        yield bench, gwa, emt


async def test_connect_opens_one_channel_and_disconnect_ends_it(connected):
    bench, gwa, emt = connected
    assert await gwa.post(CONNECT, {"emt_id": EMT}) == (200, {"state": "open"})
    assert len(emt.streams) == 1
    assert await gwa.post(DISCONNECT, {"emt_id": EMT}) == (200, {"state": "closed"})
    await until(lambda: emt.streams[0].closed)
    names = [entry.event for entry in (await bench.log("system"))]
    assert names.count("connect") == 2 and "disconnect" in names


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        (CONNECT, {"emt_id": "nobody"}, 404),
        (CONNECT, {"emt": EMT}, 422),
        (CONNECT, [], 422),
        ("/smgw/gwa/v1/fas/reboot", {}, 404),
        ("/smgw/gwa/v1/rts/status", {}, 405),
        (EVENT, event_body(), 404),
    ],
)
async def test_the_administrator_is_refused_with_the_right_status(
    connected, path, content, status
):
    bench, gwa, _ = connected
    answered, said = await gwa.post(path, content)
    assert answered == status and said["error"]
    (refused,) = bench.events("wan.refused")
    assert refused["lane_from"] == "GWA" and refused["detail"]["status"] == status


async def test_the_status_names_channels_meters_and_numbers(connected):
    bench, gwa, _ = connected
    async with bench.box() as box:
        await box.post(bench.url("fas/event"), json=event_body())
    answer = await gwa.streams[-1].request("GET", "/smgw/gwa/v1/rts/status")
    said = answer.json()
    assert answer.status == 200 and said["smgw_id"] == SMGW
    assert said["channels"] == {EMT: "open"} and said["last_seq"] == {"taf16-1": 1}
    assert said["meters"][METER]["meter_id"] == METER and said["undelivered"] == 1


async def test_an_event_of_the_market_participant_becomes_a_record_with_wan_as_source(connected):
    bench, _, emt = connected
    body = event_body() | {"taf_profile": "taf16-1"}
    status, said = await emt.post(EVENT, body)
    assert status == 200 and said["seq"] == 1
    assert await emt.post(EVENT, body) == (200, said)
    assert (await emt.post(EVENT, body | {"text": "other"}))[0] == 409
    (written,) = bench.events("record.written")
    assert written["detail"]["source"] == "wan"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"taf_profile": "taf7-1"}, 403),
        ({"taf_profile": None}, 422),
        ({"cls_id": OTHER_CLS}, 403),
        ({"cls_id": "ETST0020000099"}, 404),
    ],
)
async def test_an_event_without_right_makes_no_record(connected, changed, status):
    bench, _, emt = connected
    answered, said = await emt.post(EVENT, event_body() | {"taf_profile": "taf16-1"} | changed)
    assert answered == status and said["error"]
    assert bench.events("event.announced") == []


@pytest.mark.parametrize(
    ("cls_id", "changed", "status"),
    [
        ("ETST0020000099", {}, 404),
        (OTHER_CLS, {}, 403),
        (DEFAULT_CLS, {"taf_profile": "unheard-of"}, 403),
        (DEFAULT_CLS, {"taf_profile": "taf7-1"}, 403),
        (DEFAULT_CLS, {"action": "explode"}, 422),
        (DEFAULT_CLS, {"id": "1"}, 422),
    ],
)
async def test_a_command_without_right_is_refused_with_its_status(
    connected, cls_id, changed, status
):
    bench, _, emt = connected
    answered, said = await emt.post(f"/smgw/emt/v1/cls/{cls_id}/command", COMMAND | changed)
    assert answered == status and said["error"]
    assert (await bench.log("consumer/consumer1")) == []


async def test_a_command_id_with_other_content_is_a_conflict_and_silence_is_504(pki, tmp_path):
    async with wan(pki, tmp_path, timing={"command_s": 0.2}) as (bench, gwa, emt):
        await gwa.post(CONNECT, {"emt_id": EMT})
        path = f"/smgw/emt/v1/cls/{DEFAULT_CLS}/command"
        status, said = await emt.post(path, COMMAND)
        assert status == 504 and "0.2 s" in said["error"]
        assert (await emt.post(path, COMMAND | {"text": "other"}))[0] == 409
        async with bench.box() as box:
            poll = bench.url("rts/command/?wait_ms=0")
            async with box.get(poll) as late:
                assert late.status == 204  # silence took it off offer
            done = {"code": 0, "seq": 3, "text": ""}
            reply = bench.url(f"rts/command/{COMMAND['id']}")
            async with box.post(reply, json=done) as taken:
                assert taken.status == 204
        assert await emt.post(path, COMMAND) == (200, done)


ON_DEMAND = {"id": "taf10-1", "number": 10, "modes": ["on-demand"]}
READ = "/smgw/emt/v1/fas/read"


async def test_a_reading_on_demand_becomes_a_record_for_who_may_ask(pki, tmp_path):
    async with wan(pki, tmp_path, more_tafs=(ON_DEMAND,)) as (bench, gwa, emt):
        await gwa.post(CONNECT, {"emt_id": EMT})
        status, answer = await emt.post(READ, {"taf_profile": "taf10-1"})
        assert (status, answer["seq"]) == (200, 1)
        (record,) = await bench.undelivered()
        assert record.profile_id == "taf10-1"
        for profile_id in ("taf16-1", "taf7-1", "unheard-of"):
            assert (await emt.post(READ, {"taf_profile": profile_id}))[0] == 403
        assert len(bench.events("wan.refused")) == 3
        assert (await emt.post(READ, {}))[0] == 422


async def test_a_silent_meter_gives_no_reading_on_demand(pki, tmp_path):
    changed = {"more_tafs": (ON_DEMAND,), "pushing": False, "timing": {"event_s": 0.2}}
    async with wan(pki, tmp_path, **changed) as (bench, gwa, emt):
        await gwa.post(CONNECT, {"emt_id": EMT})
        assert (await emt.post(READ, {"taf_profile": "taf10-1"}))[0] == 503
        assert await bench.undelivered() == []


async def test_a_switching_command_leaves_a_reading_in_the_original_list(connected):
    bench, gwa, emt = connected
    async with bench.box() as box:

        async def work():
            async with box.get(bench.url("rts/command/?wait_ms=5000")) as poll:
                command = await poll.json()
            answer = {"code": 0, "seq": 5, "text": "done"}
            async with box.post(bench.url(f"rts/command/{command['id']}"), json=answer):
                return

        path = f"/smgw/emt/v1/cls/{DEFAULT_CLS}/command"
        (status, _), _ = await asyncio.gather(emt.post(path, COMMAND), work())
    assert status == 200
    rows = []
    for _ in range(200):
        rows = await bench.gateway.worker.run(bench.gateway.archive.originals, METER)
        if rows:
            break
        await asyncio.sleep(0.02)
    assert len(rows) == 1 and rows[0].due_ms is None and rows[0].raw > 0
    for log in ("system", "consumer/consumer1"):
        events = [entry.event for entry in await bench.log(log)]
        assert "command.open" in events and "command.answered" in events
