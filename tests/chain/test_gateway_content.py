"""Content security at work: administrator's messages and deliveries in envelopes, end to end."""

import contextlib
import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from smgw_bench import UUID, announce, event_body, running
from test_smgw_wan import Wan, box_at_work
from wan_edge import EMT, SMGW, device_record, emt_config, gwa_config, post

from clsbench.content_party import ContentParty, media_type
from clsbench.emt.operator import OperatorClient
from clsbench.emt.service import EmtService
from clsbench.eventlog import read_events
from clsbench.gwa.acts import FILE_NAME
from clsbench.gwa.config import SmgwEntry
from clsbench.gwa.service import GwaService
from clsbench.net.operator import OperatorAsker
from clsbench.net.tls import wan_client
from clsbench.pki.layout import DEFAULT_CLS, Pki
from clsbench.pki.names import PURPOSES
from clsbench.smgw.core import cms
from clsbench.smgw.core.cms_envelope import AUTH_ENVELOPED
from clsbench.smgw.core.cms_keys import Recipient
from clsbench.smgw.core.content import is_enveloped
from clsbench.smgw.wan.admin_content import wrapped

CONNECT = "/smgw/gwa/v1/fas/connect"
BODY = b'{"emt_id":"flexmarkt"}'
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")


class Enveloped(Wan):
    """GWA and aEMT that send and demand envelopes. gwa_content: what the GWA sends."""

    gwa_content = "enveloped"
    suite = "gcm"

    async def start(self) -> None:
        entry = SmgwEntry.model_validate(
            {"id": SMGW, "content": self.gwa_content, "suite": self.suite}
        )
        config = gwa_config(self.pki, self.folder)
        section = config.gwa.model_copy(update={"operator_socket": f"{self.socket}-gwa"})
        config = config.model_copy(update={"gwa": section, "smgw": [entry]})
        self.gwa = GwaService(config)
        self.gwa_ports = await self.gwa.start()
        found = emt_config(self.pki, self.folder, self.gwa_ports["service"], self.socket)
        section = found.emt.model_copy(update={"content": "enveloped"})
        self.emt = EmtService(found.model_copy(update={"emt": section}))
        self.emt_ports = await self.emt.start()

    def config(self, admin: str = "enveloped", delivery: str = "enveloped") -> dict[str, dict]:
        found = super().config()
        found["gwa"] |= {"content": admin, "suite": self.suite}
        found["emt"] |= {"content": delivery, "suite": self.suite}
        return found

    def events(self, name: str) -> list[dict]:
        return [event for event in read_events(self.folder / "events") if event["name"] == name]


@contextlib.asynccontextmanager
async def wan(pki: Pki, folder: Path, gwa_content: str = "enveloped", suite: str = "gcm"):
    with tempfile.TemporaryDirectory(prefix="emt") as short:
        made = Enveloped(pki, folder, f"{short}/op")
        made.gwa_content, made.suite = gwa_content, suite
        await made.start()
        yield made
        await made.emt.stop()
        await made.gwa.stop()


@pytest.mark.parametrize("suite", ["gcm", "cbc-cmac"])
async def test_connect_and_deliveries_travel_in_envelopes_and_evidence_stays_verifiable(
    pki, tmp_path, suite
):
    async with wan(pki, tmp_path, suite=suite) as parties:
        async with (
            running(pki, tmp_path, **parties.config()) as bench,
            OperatorClient(parties.socket) as op,
        ):
            async with box_at_work(bench):
                assert (await op.switch(DEFAULT_CLS, "begin", uuid=UUID))["code"] == 0
            async with bench.box() as box:
                body = device_record(1)
                async with box.post(bench.url("rts/record/"), data=body) as answer:
                    assert answer.status == 200
            await bench.until("record.gateway")
            await bench.until("record.device")
            (held,) = await op.records()
            assert await bench.undelivered() == []
        opened = parties.events("content.opened")
        assert [event["detail"]["signer"] for event in opened] == ["gwa-test.GWA"]
        name = "CMS_ECKAEG_AES_128_" + ("GCM" if suite == "gcm" else "CBCCMAC")
        assert opened[0]["detail"]["suites"] == ["CMS_ECDSA_SHA256", name, "CMS_ZLIB"]
        assert b"emt_id" not in bytes.fromhex(opened[0]["raw"])
        # the gateway's own signature over the record is kept as it was made
        der = bytes.fromhex(held["cms"])
        assert not is_enveloped(der)
        assert cms.verify(der, pki.wan_trust.read_bytes(), "SMGW").signer.name == SMGW


async def test_a_gateway_that_demands_envelopes_refuses_plain_orders(pki, tmp_path):
    async with (
        wan(pki, tmp_path, gwa_content="plain") as parties,
        running(pki, tmp_path, **parties.config()) as bench,
    ):
        identity = pki.emt(EMT).tls
        context = wan_client(identity, pki.wan_trust)
        port = parties.gwa_ports["service"]
        order = {"smgw_id": SMGW, "emt_id": EMT}
        await bench.until("channel.open")
        answer = await post("GWA", "gwa-test", port, context, "/gwa/v1/connect", content=order)
        assert answer.status == 415
        assert "enveloped message is demanded" in answer.error_text()


async def test_a_participant_that_demands_envelopes_refuses_plain_deliveries(pki, tmp_path):
    async with (
        wan(pki, tmp_path) as parties,
        running(pki, tmp_path, **parties.config(delivery="signed")) as bench,
    ):
        async with bench.box() as box:
            assert (await announce(box, bench))[0] == 200
        await bench.until("delivery.content")
        (refused, *_) = bench.events("delivery.content")
        assert refused["ok"] is False and "no envelope" in refused["detail"]["reason"]
        assert len(await bench.undelivered()) == 1


async def test_orders_after_a_renewal_are_enveloped_for_the_new_key(pki, tmp_path):
    shutil.copytree(pki.directory, tmp_path / "pki-renewed")
    own = Pki.open(tmp_path / "pki-renewed")
    async with (
        wan(own, tmp_path) as parties,
        running(own, tmp_path, **parties.config()) as bench,
        OperatorAsker("gwa", f"{parties.socket}-gwa") as gwa,
    ):
        await bench.until("channel.open")
        before = Recipient.of(own.smgw.enc.cert.read_bytes())
        renewed = (await gwa.ask("POST", "/renew", {}))["renewed"]
        assert {each["file"] for each in renewed} == {f"{p}.crt.pem" for p in PURPOSES}
        after = Recipient.of(own.smgw.enc.cert.read_bytes())
        assert after.key_id != before.key_id
        assert (await gwa.ask("POST", "/connect", {"emt_id": EMT}))["state"] == "open"
        order = parties.events("content.opened")[-1]
        assert after.key_id in bytes.fromhex(order["raw"])
        asked = (await gwa.ask("GET", "/logs", query={"count": 1000}))["entries"]
    told = [each["event"] for each in asked]
    assert told.index("certificate.requested") < told.index("certificate.renewed")
    acts = [json.loads(line) for line in (tmp_path / "gwa" / FILE_NAME).read_text().splitlines()]
    done = [(each["act"], each["ok"]) for each in acts if each["act"].startswith("renew")]
    assert done == [("renew.requests", True), ("renew.certify", True), ("renew", True)]


async def sent(parties: Enveloped, body: bytes, media: str | None = None, path: str = CONNECT):
    """What the gateway answers to these bytes from its administrator: status and reason."""
    stream = parties.gwa._gateways.get(SMGW)
    assert stream is not None
    plain = vars(stream)["_stream"]
    answer = await plain.request("POST", path, body=body, content_type=media or media_type())
    if answer.headers["content-type"].startswith("application/cms"):
        found = parties.gwa._enveloping._party.open(answer.body, "SMGW")
        return answer.status, found.content.decode()
    return answer.status, answer.body.decode()


async def test_each_wrong_order_is_refused_with_its_reason(pki, tmp_path):
    recipient, now = pki.smgw.enc.cert, datetime.now(UTC)
    gwa = ContentParty(pki.directory / "gwa", pki.wan_trust)
    emt = ContentParty(pki.directory / f"emt-{EMT}", pki.wan_trust)
    good = wrapped("POST", CONNECT, BODY)
    message = gwa.protect(good, recipient, now)
    cases = [
        (415, "demanded", BODY, "application/json"),
        (422, "encoding|expected form|not a CMS", BODY, None),
        (422, "role is not GWA", emt.protect(good, recipient, now), None),
        (422, "another recipient", gwa.protect(good, pki.gwa.enc.cert, now), None),
        (422, "too far from now", gwa.protect(good, recipient, now - timedelta(hours=1)), None),
        (422, "altered|expected form|DER|hold", message[:-1] + bytes([message[-1] ^ 1]), None),
        (
            422,
            "signed for POST /smgw/gwa/v1/fas/disconnect",
            gwa.protect(wrapped("POST", CONNECT.replace("con", "discon"), BODY), recipient, now),
            None,
        ),
        (422, "not an order", gwa.protect(BODY, recipient, now), None),
    ]
    async with wan(pki, tmp_path) as parties, running(pki, tmp_path, **parties.config()) as bench:
        await bench.until("management")
        for status, reason, body, media in cases:
            found, text = await sent(parties, body, media)
            assert found == status, (reason, text)
            assert any(part in text for part in reason.split("|")), text
        assert len(bench.events("wan.refused")) == len(cases)
        assert bench.events("connect") == []


def test_a_key_before_the_renewal_still_opens_what_was_under_way(pki, tmp_path):
    party = ContentParty(pki.directory / "gwa", pki.wan_trust)
    own = tmp_path / "emt"
    own.mkdir()
    folder = pki.directory / f"emt-{EMT}"
    for each in folder.iterdir():
        (own / each.name).write_bytes(each.read_bytes())
    reader = ContentParty(own, pki.wan_trust)
    now = datetime.now(UTC)
    before = party.protect(b"before", own / "enc.crt.pem", now)
    renewed = pki.issue_wan_to(tmp_path / "new", f"{EMT}.EMT", "enc")
    (own / "enc.key.pem").write_bytes(renewed.key.read_bytes())
    (own / "enc.crt.pem").write_bytes(renewed.cert.read_bytes())
    after = party.protect(b"after", own / "enc.crt.pem", now)
    assert cms.verify(after, pki.wan_trust.read_bytes(), "GWA", AUTH_ENVELOPED).content
    assert reader.open(after, "GWA").content == b"after"
    assert reader.open(before, "GWA").content == b"before"


async def test_records_that_waited_travel_in_one_envelope(pki, tmp_path):
    async with (
        wan(pki, tmp_path) as parties,
        running(pki, tmp_path, **parties.config()) as bench,
        bench.box() as box,
    ):
        await parties.emt.stop()
        for event in ("begin", "end"):
            async with box.post(bench.url("fas/event"), json=event_body(event=event)) as told:
                assert told.status == 200
        await bench.until("delivery.failed")
        await parties.start_emt()
        await bench.until("delivery.record", 2)  # the aEMT's event is there before
        assert [e["detail"]["status"] for e in bench.events("delivery.record")] == [200, 200]
        async with OperatorClient(parties.socket) as op:
            assert [record["seq"] for record in await op.records()] == [1, 2]
