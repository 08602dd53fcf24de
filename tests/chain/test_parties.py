"""Who may do what is decided by profiles: active and passive participants, foreign GWAs."""

import asyncio
import contextlib
import json
import subprocess
import sys

import pytest
from parties_kit import (
    ACTIVE,
    CLS,
    FOREIGN_GWA,
    FOREIGN_SMGW,
    METER,
    OTHER,
    PASSIVE,
    SMGW,
    box_entry,
    new_uuid,
    parties,
    taf16,
    until_answer,
)

from clsbench.emt.config import EmtConfig
from clsbench.emt.gwa_client import Gwas
from clsbench.errors import BadInput, PeerRefused
from clsbench.net.tls import wan_client
from clsbench.pki.layout import Pki
from clsbench.roleconfig import load_config

LIMIT = 1_000_000  # of a register that begins at 1000 and rises by 33 a second


async def test_of_two_active_participants_on_one_box_each_may_what_its_profiles_say(tmp_path):
    common = {"meter_id": METER, "final_consumer": "c", "emt": OTHER}
    on_demand = {"id": "t9-grid", "number": 9, "modes": ["on-demand"], **common}
    proxy = {"cls_id": CLS, "wan_peers": ["127.0.0.1:1"], "opened_by": "emt"}
    proxy |= {"cls_peer": "127.0.0.1:2"}
    async with parties(tmp_path) as market:
        await market.gwa(emts=(ACTIVE, OTHER))
        for name, profile in ((ACTIVE, "t16-flex"), (OTHER, "t16-grid")):
            await market.emt(name, ("[gwa]", market.gwa_section()), box_entry(profile))
        await market.smgw(
            ("[[emt]]", market.emt_profile(ACTIVE, cls_ids=[CLS])),
            ("[[emt]]", market.emt_profile(OTHER, cls_ids=[CLS])),
            taf16("t16-flex", ACTIVE),
            taf16("t16-grid", OTHER, wan_source=False),
            ("[[taf]]", on_demand),
            ("[[proxy]]", proxy | {"name": "flex", "emt": ACTIVE, "local_server_name": "flex"}),
        )
        uuid = new_uuid()
        async with contextlib.AsyncExitStack() as stack:
            got = await stack.enter_async_context(market.box())
            flex = await stack.enter_async_context(market.emt_operator(ACTIVE))
            grid = await stack.enter_async_context(market.emt_operator(OTHER))
            assert (await flex.switch(CLS, "begin", uuid=uuid))["code"] == 0
            with pytest.raises(PeerRefused, match="'t16-grid' has no WAN source 'netz'"):
                await grid.switch(CLS, "end", uuid=uuid)
            with pytest.raises(PeerRefused, match="'t16-flex' has no WAN source 'netz'"):
                await grid.switch(CLS, "begin", uuid=uuid, taf_profile="t16-flex")
            with pytest.raises(PeerRefused, match="no WAN source"):
                await grid.event(CLS, "begin")
            with pytest.raises(PeerRefused, match="no WAN source"):
                await grid.switch(CLS, "limit", limit_w=0, duration_s=60)
            assert (await grid.read(SMGW, "t9-grid"))["seq"] == 1
            with pytest.raises(PeerRefused, match="no profile 't9-grid' on demand for 'flex"):
                await flex.read(SMGW, "t9-grid")
            event = await flex.event(CLS, "change", text="price")
            assert event["seq"] == 1 and event["captured_ms"] is not None
            records = await until_answer(flex.records)
            assert [r["content"]["source"] for r in records] == ["wan"]
            (read,) = await until_answer(grid.records)
            assert (read["type"], read["profile_id"]) == ("taf9", "t9-grid")
            async with market.gwa_operator() as gwa:
                for wrong in ("flex", "grid"):  # of another participant, and none at all
                    with pytest.raises(PeerRefused, match=f"no proxy profile '{wrong}' of 'netz'"):
                        await ordered_proxy(market, OTHER, wrong)
                assert (await gwa.ask("GET", "/status"))["cls_channels"] == []
        assert [each["action"] for each in got] == ["begin"]
        refused = [e["detail"]["subject"] for e in market.events("wan.refused")]
        assert refused == [OTHER] * 4 + [ACTIVE]
        code, out, _ = await asked("emt", "steps", str(tmp_path / "events.jsonl"), "--json")
        steps = json.loads(out)[uuid]
        assert code == 0 and {s["detail"]["step"] for s in steps if s["ok"]} == set(range(1, 8))
        assert [s["detail"]["step"] for s in steps if not s["ok"]] == [4, 4]


async def ordered_proxy(market, emt: str, proxy: str) -> None:
    """What an aEMT's own order of a CLS channel comes to."""
    pki = Pki.open(market.work / "pki")
    config = load_config(market.work / f"{emt}.toml", EmtConfig)
    gwas = Gwas(config, wan_client(pki.emt(emt).tls, pki.wan_trust))
    await gwas.open_proxy(SMGW, proxy)


async def test_a_limit_with_duration_reaches_the_box_as_it_was_given(tmp_path):
    async with parties(tmp_path) as market:
        await market.gwa()
        await market.emt(ACTIVE, ("[gwa]", market.gwa_section()), box_entry("t16"))
        await market.smgw(
            ("[[emt]]", market.emt_profile(ACTIVE, cls_ids=[CLS])), taf16("t16", ACTIVE)
        )
        async with market.box() as got, market.emt_operator() as emt:
            uuid = new_uuid()
            answer = await emt.switch(CLS, "limit", uuid=uuid, limit_w=4200, duration_s=900)
            again = await emt.switch(CLS, "limit", uuid=uuid, limit_w=4200, duration_s=900)
            assert again == answer and answer["code"] == 0
            with pytest.raises(PeerRefused, match="other content"):
                await emt.switch(CLS, "limit", uuid=uuid, limit_w=4200, duration_s=901)
            for wrong in ({}, {"limit_w": 1}, {"limit_w": -1, "duration_s": 1}):
                with pytest.raises(BadInput, match="must be"):
                    await emt.switch(CLS, "limit", **wrong)
        (command,) = got
        assert (command["limit_w"], command["duration_s"]) == (4200, 900)


async def test_a_passive_participant_gets_its_records_and_commands_nothing(tmp_path):
    async with parties(tmp_path, speed=300) as market:
        await market.gwa(emts=(ACTIVE, PASSIVE))
        await market.emt(PASSIVE, ("[gwa]", market.gwa_section(smgw_ids=[SMGW])))
        passive = market.emt_profile(PASSIVE, external_events=False)
        common = {"meter_id": METER, "final_consumer": "c", "emt": PASSIVE}
        limit = {"obis": "1-0:1.8.0", "limit": LIMIT, "scaler": -1}
        await market.smgw(
            ("[[emt]]", passive),
            ("[[taf]]", {"id": "t7", "number": 7, **common}),
            ("[[taf]]", {"id": "t14", "number": 14, **common}),
            ("[[taf]]", {"id": "t9", "number": 9, "modes": ["on-demand"], **common}),
            ("[[taf]]", {"id": "t10", "number": 10, "modes": ["threshold"], **common}),
            ("[[taf.threshold]]", limit),
        )
        async with market.emt_operator(PASSIVE) as emt:
            with pytest.raises(BadInput, match="is passive"):
                await emt.switch(CLS, "begin")
            with pytest.raises(BadInput, match="is passive"):
                await emt.event(CLS, "begin")
            assert (await emt.status())["role"] == "passive"
            on_demand = await emt.read(SMGW, "t9")
            assert on_demand["seq"] == 1
            with pytest.raises(PeerRefused, match="on demand"):
                await emt.read(SMGW, "t10")

            async def every_type():
                types = {record["type"] for record in await emt.records()}
                return types >= {"taf7", "taf9", "taf10", "taf14"}

            (meter,) = market.meters
            meter.raw = LIMIT  # the next telegram is above it, however long the start took
            await until_answer(every_type, 60)
            (crossed,) = [r for r in await emt.records() if r["type"] == "taf10"]
            assert crossed["content"]["source"] == "threshold"
            first = min(raw for raw in meter.sent_ms if raw > LIMIT)
            assert crossed["content"]["values"][0]["raw"] == first
        code, out, _ = await asked("emt", "verify", "--config", str(tmp_path / f"{PASSIVE}.toml"))
        assert code == 0 and f"{SMGW} t14" in out
        code, out, _ = await asked("emt", "records", "--socket", market.socket(PASSIVE))
        assert code == 0 and "taf14" in out


async def test_boxes_behind_a_foreign_gwa_are_commanded_by_its_consent(tmp_path):
    async with parties(tmp_path) as market:
        await market.gwa(emts=(ACTIVE, OTHER))
        await market.gwa(FOREIGN_GWA, FOREIGN_SMGW, emts=(ACTIVE,))
        foreign = market.gwa_section(FOREIGN_GWA, smgw_ids=[FOREIGN_SMGW])
        gwas = (("[gwa]", market.gwa_section()), ("[[foreign_gwa]]", foreign))
        for name in (ACTIVE, OTHER):
            await market.emt(name, *gwas, box_entry("t16", FOREIGN_SMGW))
        profile = market.emt_profile(ACTIVE, cls_ids=[CLS])
        await market.smgw(("[[emt]]", profile), taf16("t16", ACTIVE))
        await market.smgw(
            ("[[emt]]", profile), taf16("t16", ACTIVE), name=FOREIGN_SMGW, gwa=FOREIGN_GWA
        )
        async with market.box(SMGW) as own, market.box(FOREIGN_SMGW) as got:
            async with market.emt_operator(OTHER) as emt:
                with pytest.raises(PeerRefused, match="GWA gwa-foreign.*no agreement"):
                    await emt.switch(CLS, "begin", uuid=new_uuid())
            async with market.emt_operator(ACTIVE) as emt:
                uuid = new_uuid()
                assert (await emt.switch(CLS, "begin", uuid=uuid))["code"] == 0
                assert (await emt.status())["channels"] == [FOREIGN_SMGW]
            assert [each["uuid"] for each in got] == [uuid] and own == []
        orders = [e["detail"]["smgw_id"] for e in market.events("gwa.connect")]
        assert orders == [FOREIGN_SMGW]


async def asked(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""

    def run() -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "clsbench", *words],
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    return await asyncio.to_thread(run)
