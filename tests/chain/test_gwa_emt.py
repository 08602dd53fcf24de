"""Channel orders and commands between GWA and aEMT over real TLS; the SMGW is its edge alone."""

import asyncio
import os

import pytest
from wan_bench import ORDER, running
from wan_edge import CLS, EMT, GWA, SMGW, UUID, post, until

from clsbench.clock import BenchClock
from clsbench.emt.config import ClsEntry
from clsbench.emt.engine import CommandEngine
from clsbench.emt.store import EmtStore
from clsbench.errors import BadInput, PeerRefused, PeerSilent
from clsbench.eventlog import EventLog
from clsbench.gwa import channels as gwa_channels
from clsbench.net.reverse import OpenStreams
from clsbench.net.tls import han_client, wan_client

CONNECTED = ("connect", EMT)


@pytest.fixture
async def wan(pki, tmp_path):
    async with running(pki, tmp_path) as started:
        yield started


async def test_a_command_brings_up_the_channel_and_comes_back_answered(wan):
    answer = await wan.operator.switch(CLS, "begin", uuid=UUID, text="charge")
    assert wan.smgw.told == [CONNECTED]
    assert {k: answer[k] for k in ("code", "seq", "text", "uuid")} == {
        "code": 0,
        "seq": 7,
        "text": "done",
        "uuid": UUID,
    }
    (command,) = wan.smgw.commands
    assert wan.smgw.paths == [f"/smgw/emt/v1/cls/{CLS}/command"]
    assert set(command) == {"id", "action", "uuid", "text", "event_ms", "taf_profile"}
    assert (command["action"], command["uuid"], command["text"]) == ("begin", UUID, "charge")
    assert command["taf_profile"] == "taf16-1"
    (row,) = await wan.operator.commands()
    assert row["id"] == command["id"] and row["state"] == "answered" and row["sent"] == 1
    latency_ms = (row["t_answer_ns"] - row["t_command_ns"]) / 1e6
    assert answer["latency_ms"] == pytest.approx(latency_ms, abs=0.001)
    assert 0 < latency_ms < 10_000
    assert (await wan.operator.status())["channels"] == [SMGW]
    sent, answered = wan.events("switch.command"), wan.events("switch.answer")
    assert [event["uuid"] for event in sent + answered] == [UUID, UUID]


async def test_the_second_command_uses_the_standing_channel(wan):
    await wan.operator.switch(CLS, "begin", uuid=UUID)
    await wan.operator.switch(CLS, "end", uuid=UUID)
    assert wan.smgw.told == [CONNECTED]
    assert [command["action"] for command in wan.smgw.commands] == ["begin", "end"]
    assert wan.smgw.commands[0]["id"] != wan.smgw.commands[1]["id"]


async def test_a_restarted_smgw_gets_the_standing_connect_again(wan):
    await wan.operator.switch(CLS, "begin")
    await wan.restart_smgw()
    await until(lambda: wan.smgw.told == [CONNECTED])
    assert (await wan.operator.switch(CLS, "end"))["code"] == 0


async def test_a_restarted_gwa_still_knows_the_standing_connect(wan):
    await wan.operator.switch(CLS, "begin")
    wan.smgw.told.clear()
    await wan.restart_gwa()
    await until(lambda: wan.smgw.told == [CONNECTED])


async def test_a_connect_the_smgw_cannot_follow_yet_is_told_again(wan, monkeypatch):
    monkeypatch.setattr(gwa_channels, "REPEAT_PAUSE_S", 0.05)
    wan.smgw.connect_status = 502
    answer = await wan.order(wan.pki.emt(EMT))
    assert answer.status == 502 and "no EMT profile" in answer.error_text()
    wan.smgw.connect_status = 200
    await until(lambda: len(wan.smgw.told) > 1)
    await until(lambda: wan.emt._channels.names() == [SMGW])


async def test_a_connect_the_smgw_refuses_does_not_stand(wan):
    wan.smgw.connect_status = 403
    with pytest.raises(PeerRefused, match="no EMT profile"):
        await wan.operator.switch(CLS, "begin")
    (row,) = await wan.operator.commands()
    assert row["state"] == "refused" and "no EMT profile" in row["answer"]
    await wan.restart_smgw()
    await until(lambda: wan.smgw.states.count(("GWA", True)) == 2)
    await asyncio.sleep(0.1)
    assert wan.smgw.told == []


async def test_a_disconnect_reaches_an_smgw_that_was_away(wan):
    await wan.operator.switch(CLS, "begin")
    await wan.smgw.stop()
    await until(lambda: wan.gwa._gateways.names() == [])
    answer = await wan.order(wan.pki.emt(EMT), path="/gwa/v1/disconnect")
    assert (answer.status, answer.json()) == (200, {"state": "closed"})
    await wan.restart_smgw()
    await until(lambda: wan.smgw.told == [("disconnect", EMT)])
    await until(lambda: wan.events("gwa.disconnect.answer"))
    await wan.restart_smgw()
    await until(lambda: wan.smgw.states.count(("GWA", True)) == 3)
    await asyncio.sleep(0.1)
    assert wan.smgw.told == []


async def test_an_smgw_certificate_orders_nothing_at_the_gwa(wan):
    answer = await wan.order(wan.pki.smgw)
    assert answer.status == 403 and "no EMT" in answer.error_text()
    (event,) = wan.events("gwa.refused")
    assert event["ok"] is False and event["kind"] == "fault"
    assert event["detail"]["peer"] == f"{SMGW}.SMGW"
    assert wan.smgw.told == []


async def test_a_cls_certificate_does_not_get_through_the_gwas_tls(wan):
    context = han_client(wan.pki.cls(CLS), wan.pki.wan_trust)
    with pytest.raises((PeerRefused, PeerSilent)):
        await post("GWA", GWA, wan.gwa_ports["service"], context, "/gwa/v1/connect", content=ORDER)
    await until(lambda: wan.events("gwa.tls-refused"))
    assert wan.smgw.told == []


@pytest.mark.parametrize(
    ("emt", "content", "status"),
    [
        (EMT, {"smgw_id": SMGW, "emt_id": "andere"}, 403),
        ("andere", {"smgw_id": SMGW, "emt_id": "andere"}, 403),
        (EMT, {"smgw_id": "ETST0010000099", "emt_id": EMT}, 403),
        (EMT, {"smgw_id": SMGW}, 422),
        (EMT, {"smgw_id": 7, "emt_id": EMT}, 422),
    ],
)
async def test_an_emt_orders_for_itself_where_it_may_and_nothing_else(wan, emt, content, status):
    answer = await wan.order(wan.pki.emt(emt), content)
    assert answer.status == status
    assert len(wan.events("gwa.refused")) == 1
    assert wan.smgw.told == []


async def test_a_connect_for_an_absent_smgw_is_not_found(wan):
    await wan.smgw.stop()
    await until(lambda: wan.gwa._gateways.names() == [])
    assert (await wan.order(wan.pki.emt(EMT))).status == 404


async def test_management_and_channel_take_smgws_only(wan):
    context = wan_client(wan.pki.emt(EMT).tls, wan.pki.wan_trust)
    with pytest.raises(PeerSilent):
        await post("GWA", GWA, wan.gwa_ports["management"], context, "/x")
    with pytest.raises(PeerSilent):
        await post("EMT", EMT, wan.emt_ports["channel"], context, "/x")
    await until(lambda: wan.events("gwa.tls-refused") and wan.events("emt.tls-refused"))


async def test_a_silent_cls_is_asked_again_under_the_same_id(wan):
    wan.smgw.answers = [(504, {"error": "CLS silent"}), (200, {"code": 0, "seq": 3, "text": ""})]
    answer = await wan.operator.switch(CLS, "begin", uuid=UUID)
    assert answer["seq"] == 3
    first, second = wan.smgw.commands
    assert first == second
    (row,) = await wan.operator.commands()
    assert row["sent"] == 2 and row["id"] == first["id"]


async def test_a_command_lost_with_its_channel_is_sent_again_under_the_same_id(wan):
    wan.smgw.answers = [(0, {}), (0, {}), (200, {"code": 0, "seq": 3, "text": ""})]
    assert (await wan.operator.switch(CLS, "begin", uuid=UUID))["seq"] == 3
    assert len(wan.smgw.commands) == 3
    assert len({command["id"] for command in wan.smgw.commands}) == 1
    assert len(await wan.operator.commands()) == 1


async def test_a_repeat_by_the_operator_is_answered_and_not_sent(wan):
    first = await wan.operator.switch(CLS, "begin", uuid=UUID, text="a")
    assert await wan.operator.switch(CLS, "begin", uuid=UUID.upper(), text="a") == first
    assert len(wan.smgw.commands) == 1
    with pytest.raises(PeerRefused, match="other content"):
        await wan.operator.switch(CLS, "begin", uuid=UUID, text="b")
    assert len(wan.smgw.commands) == 1


async def test_two_callers_of_one_command_share_its_one_sending(wan):
    asking = [wan.operator.switch(CLS, "begin", uuid=UUID) for _ in range(3)]
    first, *others = await asyncio.gather(*asking)
    assert others == [first, first]
    assert len(wan.smgw.commands) == 1


async def test_a_refusal_by_the_smgw_is_final_and_gives_its_reason(wan):
    wan.smgw.answers = [(403, {"error": "CLS not in the EMT's profile"})]
    with pytest.raises(PeerRefused, match="CLS not in the EMT's profile"):
        await wan.operator.switch(CLS, "begin", uuid=UUID)
    assert len(wan.smgw.commands) == 1
    (event,) = wan.events("switch.answer")
    assert event["ok"] is False and event["detail"]["state"] == "refused"


async def test_a_refusal_by_the_device_is_an_answer_with_its_code(wan):
    wan.smgw.answers = [(200, {"code": 12, "seq": 4, "text": "interlock"})]
    answer = await wan.operator.switch(CLS, "begin", uuid=UUID)
    assert (answer["code"], answer["seq"], answer["text"]) == (12, 4, "interlock")


@pytest.mark.parametrize(
    "content",
    [{"code": 0}, [1], {"code": "0", "seq": 1, "text": ""}, {"code": 0, "seq": 1, "text": 5}],
)
async def test_an_answer_that_says_nothing_leaves_the_outcome_unknown(wan, content):
    wan.smgw.answers = [(200, content)]
    with pytest.raises(PeerSilent, match="code, seq"):
        await wan.operator.switch(CLS, "begin", uuid=UUID)
    (row,) = await wan.operator.commands()
    assert row["state"] == "unknown"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"action": "burst"}, "must be one of begin, end, change, limit"),
        ({"uuid": "seven"}, "uuid 'seven'"),
        ({"text": "ü" * 33}, "longer than 64 bytes"),
        ({"cls_id": "ETST0020000099"}, "in no \\[\\[cls\\]\\]"),
    ],
)
async def test_a_command_without_sense_never_leaves_the_aemt(wan, content, reason):
    content = {"cls_id": CLS, "action": "begin"} | content
    with pytest.raises(BadInput, match=reason):
        await wan.operator.switch(**content)
    assert wan.smgw.told == [] and wan.smgw.commands == []


async def test_operator_socket_is_for_its_owner_alone(wan):
    assert os.stat(wan.socket).st_mode & 0o777 == 0o600


async def test_a_command_without_answer_ends_at_its_deadline_with_the_last_reason(tmp_path):
    cls = ClsEntry(cls_id=CLS, smgw_id=SMGW, taf_profile="taf16-1")
    clock = BenchClock()

    async def order(smgw_id: str, uuid) -> None:
        raise PeerSilent(f"GWA says {smgw_id} is away")

    store = EmtStore(tmp_path / "emt.sqlite")
    table = OpenStreams(lambda name, is_open: None)
    events = EventLog(None, clock, "test")
    engine = CommandEngine(store, table, order, events, clock, deadline_s=0.3)
    with pytest.raises(PeerSilent, match=rf"within 0\.3 s .*{SMGW} is away.*--uuid {UUID}"):
        await engine.switch(cls, "begin", UUID)
    (row,) = store.commands()
    assert row["state"] == "unknown" and row["sent"] == 0
    store.close()


async def test_a_command_open_when_the_aemt_died_is_unknown_and_goes_on_under_its_id(
    wan, tmp_path
):
    wan.smgw.answers = [(504, {"error": "CLS silent"})]
    asking = asyncio.create_task(wan.operator.switch(CLS, "begin", uuid=UUID))
    await until(lambda: wan.smgw.commands)
    ports = wan.emt_ports
    await wan.emt.stop()
    with pytest.raises(PeerSilent):
        await asking
    wan.smgw.answers = [(200, {"code": 0, "seq": 9, "text": ""})]
    await wan.start_emt()
    (row,) = await wan.operator.commands()
    assert row["state"] == "unknown" and "repeat" in row["answer"]
    wan.smgw.ports = (wan.smgw.ports[0], wan.emt_ports["channel"], wan.emt_ports["delivery"])
    assert ports != wan.emt_ports
    await wan.restart_smgw()
    assert (await wan.operator.switch(CLS, "begin", uuid=UUID))["seq"] == 9
    assert len({command["id"] for command in wan.smgw.commands}) == 1
