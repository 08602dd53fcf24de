"""A GWA administers a running SMGW: profiles, channels, logs, versions, renewal."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from parties_kit import (
    ACTIVE,
    CLS,
    METER,
    OWN_GWA,
    PASSIVE,
    SMGW,
    box_entry,
    new_uuid,
    parties,
    taf16,
    until_answer,
)

from clsbench.clock import BenchClock
from clsbench.errors import BadInput, PeerRefused

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(tmp_path_factory):
    async with parties(tmp_path_factory.mktemp("gwa")) as made:
        await made.gwa(emts=(ACTIVE, PASSIVE))
        await made.emt(ACTIVE, ("[gwa]", made.gwa_section()), box_entry("t16"))
        await made.emt(PASSIVE)
        await made.smgw(("[[emt]]", made.emt_profile(ACTIVE, cls_ids=[CLS])), taf16("t16", ACTIVE))
        yield made


def clsbench(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    done = subprocess.run(
        [sys.executable, "-m", "clsbench", *words], capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


async def asked(*words: str) -> tuple[int, str, str]:
    return await asyncio.to_thread(clsbench, *words)


async def change(market, put=None, remove=()):
    async with market.gwa_operator() as gwa:
        body = {"put": put or {}, "remove": [list(key) for key in remove]}
        return (await gwa.ask("POST", "/profiles", body))["changes"]


async def test_profiles_are_put_shown_and_removed_from_the_command_line(market, tmp_path):
    socket = ("--socket", market.socket(OWN_GWA))
    emt = market.emt_profile(PASSIVE, external_events=False)
    (tmp_path / "passive.json").write_text(json.dumps({"emt": [emt]}))
    (tmp_path / "grid.toml").write_text(
        f'[[taf]]\nid = "grid"\nnumber = 10\nmeter_id = "{METER}"\nfinal_consumer = "c"\n'
        f'emt = "{PASSIVE}"\nmodes = ["cyclic"]\nperiod_s = 60\nvalid_to = 2099-01-01T00:00:00Z\n'
    )
    files = (str(tmp_path / "passive.json"), str(tmp_path / "grid.toml"))
    code, out, err = await asked("gwa", "profiles", "put", *files, *socket)
    assert (code, err) == (0, "") and "taf profile 'grid' version 1" in out
    code, out, _ = await asked("gwa", "profiles", "list", *socket, "--json")
    versions = {(each["kind"], each["name"]): each for each in json.loads(out)}
    assert code == 0 and ("emt", PASSIVE) in versions and ("taf", "t16") in versions
    validity = versions["taf", "grid"]["content"]["validity"]
    assert validity["from_ms"] > 0 and validity["to_ms"] == 4070908800000
    code, out, _ = await asked("gwa", "profiles", "show", "taf", "grid", *socket)
    assert code == 0 and '"cyclic"' in out
    assert (await asked("gwa", "profiles", "remove", "taf", "grid", *socket))[0] == 0
    code, out, _ = await asked("gwa", "profiles", "list", "--all", *socket, "--json")
    archived = [e for e in json.loads(out) if e["name"] == "grid" and e["archived_ms"]]
    assert len(archived) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[taf]]\nid = "x"\nnumbr = 7', "taf 'x': key numbr is not known"),
        ('[[taf]]\nid = "x"\nnumber = 7', "taf 'x': key meter_id is missing"),
        ('[[tarif]]\nid = "x"', "key tarif is not known"),
        (
            '[[emt]]\nname = "y"\nchannel_port = 0\ndelivery_port = 1',
            "emt 'y': key channel_port: 0: must be 1 to 65535",
        ),
        (
            '[[lmn]]\nport = "p"\nmeter_id = "1"\nbaud = 9',
            "lmn '1': key baud: 9: must be 300 to 921600",
        ),
        (
            '[[emt]]\nname = "y"\nchannel_port = 1\ndelivery_port = 1\n'
            "valid_from = 2026-01-02T00:00:00Z\nvalid_to = 2026-01-01T00:00:00Z",
            "emt 'y': valid_to: 2026-01-01T00:00:00Z is not after valid_from 2026-01-02",
        ),
        ('[[consumer]]\nname = "y"\nlogin = "l"\npassword = 54321', "key password: Input should"),
        ("", "holds no profile"),
        ("[[taf", "is not TOML"),
    ],
)
async def test_a_mistake_in_a_file_is_named_with_file_section_and_key(
    market, tmp_path, text, told
):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    code, out, err = await asked(
        "gwa", "profiles", "put", str(path), "--socket", market.socket(OWN_GWA)
    )
    assert code == 2 and out == "" and str(path) in err and told in err
    assert "54321" not in err


@pytest.mark.parametrize(
    ("put", "told"),
    [
        ({"taf": [taf16("n", "nobody")[1]]}, "'n': emt 'nobody' has no emt profile"),
        (
            {"taf": [taf16("n", ACTIVE)[1] | {"number": 10, "modes": ["dog"], "period_s": 61}]},
            "(?s)'n': event_sources belongs .*'n': modes .*'n': period_s 61: a whole part",
        ),
        ({"emt": [{"name": "n", "channel_port": 1}]}, "emt 'n': key delivery_port is missing"),
        (
            {"lmn": [{"port": "p", "meter_id": "1", "link": "wmbus", "key_file": "/etc/x"}]},
            "lmn '1': key key_file: '/etc/x' must be a path within",
        ),
        ({"cls": [{"cls_id": CLS, "certificate_pem": "x"}]}, "certificate_pem cannot be read"),
    ],
)
async def test_an_order_with_a_mistake_changes_nothing(market, put, told):
    good = {"consumer": [{"name": "c"}, {"name": "new"}]}
    with pytest.raises(BadInput, match=told):
        await change(market, good | put)
    async with market.gwa_operator() as gwa:
        found = (await gwa.ask("GET", "/profiles"))["profiles"]
    assert not [each for each in found if each["name"] in ("new", "n")]


async def test_a_participant_whose_profile_is_removed_loses_channel_and_rights(market):
    uuid = new_uuid()
    async with market.emt_operator() as emt, market.box() as got:
        assert (await emt.switch(CLS, "begin", uuid=uuid))["code"] == 0
        assert (await emt.status())["channels"] == [SMGW]
        with pytest.raises(BadInput, match="'t16': emt 'flexmarkt' has no emt profile"):
            await change(market, remove=[("emt", ACTIVE)])
        await change(market, remove=[("emt", ACTIVE), ("taf", "t16")])
        await until_answer(lambda: _no_channel(emt))
        with pytest.raises(PeerRefused, match="no EMT profile"):
            await emt.switch(CLS, "end", uuid=uuid)
        profile = market.emt_profile(ACTIVE, cls_ids=[CLS])
        await change(market, {"emt": [profile], "taf": [taf16("t16", ACTIVE)[1]]})
        assert (await emt.switch(CLS, "end", uuid=uuid))["code"] == 0
        assert [each["action"] for each in got] == ["begin", "end"]


async def test_a_validity_that_ends_closes_the_channel(market):
    async with market.emt_operator() as emt, market.box():
        await emt.switch(CLS, "begin", uuid=new_uuid())
        soon = BenchClock().now_ms() / 1000 + 1.0
        until = datetime.fromtimestamp(soon, UTC).isoformat()
        profile = market.emt_profile(ACTIVE, cls_ids=[CLS])
        await change(market, {"emt": [profile | {"valid_to": until}]})
        assert (await emt.status())["channels"] == [SMGW]
        await until_answer(lambda: _no_channel(emt))
        with pytest.raises(PeerRefused, match="not in force"):
            await emt.switch(CLS, "begin", uuid=new_uuid())
        await change(market, {"emt": [profile]})
        assert (await emt.switch(CLS, "begin", uuid=new_uuid()))["code"] == 0


async def test_a_box_whose_profile_is_removed_is_cut_off(market):
    async with market.emt_operator() as emt, market.box() as got:
        await emt.switch(CLS, "begin", uuid=new_uuid())
        taf, emt_profile = taf16("t16", ACTIVE)[1], market.emt_profile(ACTIVE, cls_ids=[CLS])
        await change(
            market, {"emt": [emt_profile | {"cls_ids": []}]}, [("taf", "t16"), ("cls", CLS)]
        )
        before = len(got)
        with pytest.raises(PeerRefused, match="not known here"):
            await emt.switch(CLS, "begin", uuid=new_uuid())
        await change(market, {"emt": [emt_profile], "cls": [{"cls_id": CLS}], "taf": [taf]})
        assert (await emt.switch(CLS, "begin", uuid=new_uuid()))["code"] == 0
        assert len(got) == before + 1
    refusals = [e["detail"]["reason"] for e in market.events("tls.refused")]
    assert any("no CLS profile pins" in reason for reason in refusals)


async def test_administered_profiles_and_their_history_outlive_the_gateway(market):
    await change(market, {"consumer": [{"name": "c", "customer_id": "4711"}]})
    gateway = market.roles[SMGW]
    await gateway.kill()
    await gateway.start()
    async with market.gwa_operator() as gwa:
        await until_answer(lambda: gwa.ask("GET", "/status"))
        found = (await gwa.ask("GET", "/profiles"))["profiles"]
    (consumer,) = [each for each in found if each["kind"] == "consumer"]
    assert consumer["content"]["customer_id"] == "4711"


async def test_logs_and_versions_are_given_and_a_consumers_log_is_not(market):
    socket = ("--socket", market.socket(OWN_GWA))
    code, out, _ = await asked("gwa", "logs", *socket, "--count", "1000", "--json")
    entries = json.loads(out)
    assert code == 0 and {"profile.changed", "connect"} <= {each["event"] for each in entries}
    code, out, _ = await asked("gwa", "logs", "--log", "calibration", *socket)
    assert code == 0 and "profiles in force" in out
    code, _, err = await asked("gwa", "logs", "--log", "consumer/c", *socket)
    assert code == 1 and "is not for the administrator" in err
    code, out, _ = await asked("gwa", "version", *socket, "--json")
    assert code == 0 and json.loads(out)["firmware"][0]["component"] == "smgw-bootstream"


async def test_connect_and_disconnect_by_the_operator(market):
    socket = ("--socket", market.socket(OWN_GWA))
    assert (await asked("gwa", "connect", ACTIVE, *socket))[0] == 0
    async with market.emt_operator() as emt:
        await until_answer(lambda: _channel(emt))
        assert (await asked("gwa", "disconnect", ACTIVE, *socket))[0] == 0
        await until_answer(lambda: _no_channel(emt))
    code, _, err = await asked("gwa", "connect", PASSIVE, *socket)
    assert code == 1 and "is passive" in err
    code, _, err = await asked("gwa", "connect", "stranger", *socket)
    assert code == 1 and "no agreement" in err


async def test_a_renewal_gives_new_certificates_that_new_connections_show(market):
    async with market.gwa_operator() as gwa:
        renewed = (await gwa.ask("POST", "/renew", {}))["renewed"]
    assert {each["file"] for each in renewed} == {"tls.crt.pem", "enc.crt.pem", "sig.crt.pem"}
    assert all(each["serial"] != each["before"] for each in renewed)
    async with market.emt_operator() as emt, market.box():
        assert (await emt.switch(CLS, "begin", uuid=new_uuid()))["code"] == 0


async def test_every_act_is_in_the_log_of_both_sides(market):
    socket = ("--socket", market.socket(OWN_GWA))
    code, out, _ = await asked("gwa", "acts", *socket, "--json", "--count", "1000")
    acts = json.loads(out)
    assert {"profiles", "list", "logs", "version", "connect", "disconnect", "renew"} <= {
        each["act"] for each in acts
    }
    assert any(not each["ok"] and "no emt profile" in each.get("reason", "") for each in acts)
    told = {e["name"] for e in market.events("gwa.profiles") + market.events("gwa.renew.answer")}
    assert told == {"gwa.profiles", "gwa.renew.answer"}
    async with market.gwa_operator() as gwa:
        asked_of = (await gwa.ask("GET", "/logs", query={"count": 1000}))["entries"]
    events = {each["event"] for each in asked_of}
    assert {"asked.log.system", "asked.version", "certificate.renewed", "disconnect"} <= events
    assert {"profile.changed", "channel.ended", "wan.refused"} <= events


async def test_the_socket_is_its_owners_alone(market):
    mode = os.stat(market.socket(OWN_GWA)).st_mode
    assert stat.S_IMODE(mode) == 0o600


async def _no_channel(emt) -> bool:
    return (await emt.status())["channels"] == []


async def _channel(emt) -> bool:
    return (await emt.status())["channels"] == [SMGW]
