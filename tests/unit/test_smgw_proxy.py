"""Channels through the gateway on real sockets: who gets one, by which reply, how it ends."""

import asyncio
import socket
from dataclasses import replace

import pytest
from proxy_kit import ADMINISTRATOR, CLS, EMT, OTHER, SMGW, Sink, bench, listening_box, pki, until
from tls_kit import HOST

from clsbench import steps
from clsbench.errors import BadInput
from clsbench.net import socks_tls as socks
from clsbench.net.socks_tls_io import SocksRefused, open_socks_tls
from clsbench.smgw.cls.engine import NoChannel
from clsbench.smgw.cls.schedule import Schedule
from clsbench.smgw.core.parties import ClsProfile, Endpoint
from clsbench.smgw.core.rights import Target
from clsbench.smgw.core.validity import Validity

__all__ = ["pki"]


async def test_a_box_reaches_its_market_participant_by_server_name(pki):
    async with bench(pki) as b:
        heard = Sink()
        box = await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", heard)
        box.write(b"x" * 1000)
        await heard.until(1006)
        assert [state["to_wan"] for state in b.engine.states()] == [1000]
        box.close()
        await until(lambda: b.told.of("proxy.closed"))
        closed = b.told.of("proxy.closed")[0]
        assert (closed["to_wan"], closed["to_box"]) == (1000, 1006)
        assert [name for name, ok, _ in b.told.names if ok] == [
            "proxy.asked",
            "proxy.wan",
            "proxy.open",
            "proxy.closed",
        ]
        assert [event for event, _ in b.told.log] == ["proxy.open", "proxy.closed"]
        assert [step[:3] for step in b.told.steps] == [
            (steps.RIGHTS, None, True),
            (steps.TLS, None, True),
            (steps.PROXY, None, True),
        ]
        assert {step[3]["opened_by"] for step in b.told.steps} == {"cls"}
        assert b.engine.states() == []


async def reply_to(b, name, cls_id=CLS):
    with pytest.raises(SocksRefused) as refused:
        await open_socks_tls(HOST, b.port, b.client(cls_id), name, Sink())
    return refused.value.code


async def test_without_a_profile_that_fits_the_reply_is_2(pki):
    async with bench(pki) as b:
        assert await reply_to(b, "nobody") == 2
        assert await reply_to(b, "emt.flexmarkt", OTHER) == 2  # another box's
        for changed in (
            replace(b.proxy, opened_by="emt", cls_peer=Endpoint(HOST, 1)),
            replace(b.proxy, validity=Validity(0, b.now_ms)),
        ):
            b.adopt(b.profiles(changed))
            assert await reply_to(b, "emt.flexmarkt") == 2
        b.adopt(b.profiles(b.proxy, cls_ids=(OTHER,)))
        assert await reply_to(b, "emt.flexmarkt") == 2
        b.adopt(b.profiles(b.proxy, validity=Validity(b.now_ms + 1)))
        assert await reply_to(b, "emt.flexmarkt") == 2
        refusals = b.told.of("proxy.refused")
        assert len(refusals) == 6 and len(b.told.log) == 6
        assert "no proxy profile 'nobody'" in refusals[0]["reason"]
        assert not b.made


async def test_a_name_no_profile_can_have_is_reply_2_as_well(pki, monkeypatch):
    monkeypatch.setattr(socks, "is_server_name", lambda name: True)
    async with bench(pki) as b:
        monkeypatch.undo()
        forged = socks.request("x").replace(b"\x01x", b"\x03A_\xff")
        monkeypatch.setattr(socks, "request", lambda name: forged)
        assert await reply_to(b, "x") == 2


async def test_a_wan_peer_is_reached_by_its_address_too(pki, monkeypatch):
    async with bench(pki) as b:
        asked = b"\x05\x01\x00\x01" + bytes((127, 0, 0, 1)) + b.wan_port.to_bytes(2, "big")
        monkeypatch.setattr(socks, "request", lambda name: asked)
        heard = Sink()
        await open_socks_tls(HOST, b.port, b.client(), "x", heard)
        await heard.until(6)


async def test_a_wan_partner_that_refuses_is_reply_5(pki):
    async with bench(pki, emt="other") as b:  # its certificate names somebody else
        assert await reply_to(b, "emt.flexmarkt") == 5
    async with bench(pki) as b:
        b.adopt(b.profiles(replace(b.proxy, wan_peers=(Endpoint(HOST, 1),))))
        assert await reply_to(b, "emt.flexmarkt") == 5
        b.adopt(b.profiles(replace(b.proxy, wan_peers=())))
        assert await reply_to(b, "emt.flexmarkt") == 5
        assert len(b.told.of("proxy.wan")) == 2 and b.engine.states() == []


async def test_a_wan_partner_that_does_not_answer_is_reply_4(pki):
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        async with bench(pki, within_s=0.2) as b:
            b.adopt(b.profiles(replace(b.proxy, wan_peers=(Endpoint(HOST, port),))))
            assert await reply_to(b, "emt.flexmarkt") == 4


async def test_a_second_wan_peer_stands_in_for_the_first(pki):
    async with bench(pki) as b:
        peers = (Endpoint(HOST, 1), *b.proxy.wan_peers)
        b.adopt(b.profiles(replace(b.proxy, wan_peers=peers)))
        heard = Sink()
        await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", heard)
        await heard.until(6)


async def test_one_profile_has_so_many_channels_and_no_more(pki):
    async with bench(pki) as b:
        for _ in range(4):
            await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", Sink())
        assert await reply_to(b, "emt.flexmarkt") == 5


@pytest.mark.parametrize("end", ["changed", "gone", "over"])
async def test_a_channel_is_cut_when_its_profile_changes_and_at_the_session_limit(pki, end):
    async with bench(pki) as b:
        heard = Sink()
        await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", heard)
        await heard.until(6)
        b.engine.look()
        assert len(b.engine.states()) == 1
        if end == "changed":
            b.adopt(b.profiles(replace(b.proxy, wan_tls_sni="")))
        elif end == "gone":
            b.adopt(b.profiles())
        else:
            b.now_s = 1000.0
        b.engine.look()
        async with asyncio.timeout(30):
            await heard.ended.wait()
        reason = b.told.of("proxy.closed")[0]["reason"]
        assert ("session cut" if end == "over" else "profiles changed") in reason


async def test_a_connect_of_the_administrator_opens_both_sides(pki):
    async with bench(pki) as b, listening_box(b) as seen:
        b.make = Sink
        await b.engine.connect(ADMINISTRATOR, Target(emt=EMT, proxy="p"), "uuid")
        assert [step[:3] for step in b.told.steps] == [
            (steps.RIGHTS, "uuid", True),
            (steps.TLS, "uuid", True),  # to the market participant, and to the box
            (steps.TLS, "uuid", True),
            (steps.PROXY, "uuid", True),
        ]
        await until(lambda: b.made)  # in TLS 1.3 the client is done before the server
        await b.made[0].until(6)  # the box's greeting, which nobody read before both were there
        assert seen == [f"{SMGW.lower()}.smgw"]
        b.made[0].transport.write(b"y" * 500)
        await b.made[0].until(506)
        first = b.made[0]
        await b.engine.connect(ADMINISTRATOR, Target(emt=EMT, proxy="p"))
        async with asyncio.timeout(30):
            await first.ended.wait()
        assert b.told.of("proxy.closed")[0]["reason"] == "replaced"
        assert len(b.engine.states()) == 1


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (Target(emt=EMT, proxy="nobody"), 404),
        (Target(emt="other", proxy="p"), 404),
        (Target(emt=EMT, proxy="p"), 403),
    ],
)
async def test_a_connect_that_no_profile_allows_is_refused(pki, target, status):
    async with bench(pki) as b:
        with pytest.raises(NoChannel) as no:
            await b.engine.connect(ADMINISTRATOR, target)
        assert no.value.http_status == status and len(b.told.of("proxy.refused")) == 1
        ((number, _, ok, detail),) = b.told.steps
        assert (number, ok, detail["reason"]) == (steps.RIGHTS, False, str(no.value))


async def test_a_box_with_another_certificate_is_not_spoken_to(pki):
    async with bench(pki) as b, listening_box(b):
        b.make = Sink
        wrong = ClsProfile(CLS, "00" * 32)
        held = b.profiles(b.emt_proxy)
        b.adopt(replace(held, cls=(wrong, held.cls[1])))
        with pytest.raises(NoChannel, match="not the pinned one"):
            await b.engine.connect(ADMINISTRATOR, Target(emt=EMT, proxy="p"))
        await until(lambda: b.made)
        async with asyncio.timeout(30):
            await b.made[0].ended.wait()
        assert b.made[0].size == 0 and b.engine.states() == []
    async with bench(pki) as b, listening_box(b, OTHER):
        with pytest.raises(NoChannel, match="answered instead"):
            await b.engine.connect(ADMINISTRATOR, Target(emt=EMT, proxy="p"))


async def test_a_silent_box_is_504_and_an_absent_one_502(pki):
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        async with bench(pki, within_s=0.2) as b:
            for at, status in ((port, 504), (1, 502)):
                peer = Endpoint(HOST, at)
                b.adopt(b.profiles(replace(b.proxy, opened_by="emt", cls_peer=peer)))
                with pytest.raises(NoChannel) as no:
                    await b.engine.connect(ADMINISTRATOR, Target(emt=EMT, proxy="p"))
                assert no.value.http_status == status


async def test_what_the_gateway_opens_by_itself_it_opens_again(pki):
    async with bench(pki) as b, listening_box(b):
        b.make = Sink
        b.adopt(b.profiles(replace(b.emt_proxy, opened_by="smgw")))
        schedule = Schedule(b.engine, b.held, lambda: b.now_ms, 0.1)
        running = asyncio.create_task(schedule.run())
        await until(lambda: len(b.made) == 1)
        await b.made[0].until(6)
        b.made[0].transport.close()
        await until(lambda: len(b.made) == 2)
        await b.made[1].until(6)
        b.adopt(b.profiles())  # the profile is taken away
        b.engine.look()
        await until(lambda: not b.engine.states())
        running.cancel()
        assert len(b.told.of("proxy.open")) == 2


async def test_proxy_profiles_that_contradict_each_other_are_refused(pki):
    async with bench(pki) as b:
        with pytest.raises(BadInput, match="local_server_name is used twice"):
            b.profiles(b.proxy, replace(b.proxy, name="q"))
        b.profiles(b.proxy, replace(b.proxy, name="q", cls_id=OTHER))
        for opened_by in ("emt", "smgw"):
            with pytest.raises(BadInput, match="needs cls_peer"):
                b.profiles(replace(b.proxy, opened_by=opened_by))


async def test_a_passive_participant_gets_no_channel_and_loses_the_one_that_stands(pki):
    async with bench(pki) as b:
        heard = Sink()
        await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", heard)
        b.adopt(b.profiles(b.proxy, external_events=False))
        b.engine.look()
        await heard.ended.wait()
        assert "is passive" in b.told.of("proxy.closed")[0]["reason"]
        assert await reply_to(b, "emt.flexmarkt") == 2
        assert "is passive" in b.told.of("proxy.refused")[0]["reason"]
