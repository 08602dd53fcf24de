"""Who has no right gets a reason, the event log a fault, and the relay stays open.

Each test uses the running chain of the file, which must switch again afterwards (`run`).
"""

import uuid as uuidlib
from datetime import UTC, datetime, timedelta

import pytest
from chains import http
from wan_edge import post

from clsbench.errors import PeerRefused, PeerSilent
from clsbench.net.listener import TlsListener
from clsbench.net.reverse import http_client_protocol
from clsbench.net.tls import Identity, han_client, wan_client, wan_server
from clsbench.pki.authority import Validity
from clsbench.pki.layout import Pki

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = datetime.now(UTC)
EXPIRED = Validity(NOW - timedelta(days=3), NOW - timedelta(hours=1))


async def order_connect(run, identity: Identity):
    """Asks the GWA for a channel to the SMGW with any certificate."""
    chain = run.chain
    context = wan_client(identity, chain.pki.wan_trust)
    content = {"smgw_id": chain.names.smgw, "emt_id": chain.names.emt}
    port = chain.roles["gwa"].ports["service"]
    return await post("GWA", chain.names.gwa, port, context, "/gwa/v1/connect", content=content)


async def cls_from_another_ca(run, folder) -> Identity:
    names = run.chain.names
    return Pki.init(folder / "pki", names.smgw, cls_ids=[names.cls]).cls(names.cls)


async def expired_cls(run, folder) -> Identity:
    cn = f"{run.chain.names.cls.lower()}.cls"
    return run.chain.pki.issue_han_to(folder / "id", cn, span=EXPIRED)


@pytest.mark.parametrize(
    ("make", "reason"),
    [(cls_from_another_ca, "unknown CA"), (expired_cls, "certificate expired")],
)
async def test_a_cls_certificate_that_does_not_hold_is_refused_in_the_handshake(
    run, tmp_path, make, reason
):
    with pytest.raises(PeerRefused, match=reason):
        await run.ask_han(identity=await make(run, tmp_path))
    await run.fault("tls.refused", reason)
    assert not run.told("tls.accepted") and not run.relay_closed


async def test_a_cls_certificate_in_no_profile_is_cut_off_before_its_first_request(run, tmp_path):
    identity = run.chain.pki.issue_han_to(tmp_path / "id", "etst0020000099.cls")
    request = b"GET /smgw/cls/v1/rts/time HTTP/1.1\r\nHost: x\r\n\r\n"
    assert await run.ask_han(request, identity) == b""
    await run.fault("tls.refused", "no CLS profile pins the certificate of ETST0020000099")
    assert not run.relay_closed


async def test_a_second_certificate_of_the_right_cls_is_not_the_pinned_one(run, tmp_path):
    cn = f"{run.chain.names.cls.lower()}.cls"
    identity = run.chain.pki.issue_han_to(tmp_path / "id", cn)
    assert await run.ask_han(identity=identity) == b""
    await run.fault("tls.refused", "no CLS profile pins")
    assert not run.relay_closed


async def test_a_device_with_a_foreign_certificate_keeps_its_relay_open(run, tmp_path):
    chain, own = run.chain, run.chain.work / "pki"
    uuid = await run.begin()
    strange = Pki.init(tmp_path / "pki", chain.names.smgw, cls_ids=[chain.names.cls])
    files = [("cls.crt.der", "cert_der"), ("cls.key.der", "key_der")]
    kept = {name: own.joinpath(f"cls-{chain.names.cls}", name).read_bytes() for name, _ in files}
    run.mark()
    try:
        for name, attribute in files:
            path = getattr(strange.cls_files(chain.names.cls), attribute)
            own.joinpath(f"cls-{chain.names.cls}", name).write_bytes(path.read_bytes())
        await run.reflash()
        assert not run.relay_closed
        await run.fault("tls.refused", "unknown CA")
        await run.fault("device.han_connection", "")
        assert not run.relay_closed
    finally:
        for name, content in kept.items():
            own.joinpath(f"cls-{chain.names.cls}", name).write_bytes(content)
        await run.reflash()
    await run.witnessed(uuid, "power-fail")


async def test_an_expired_emt_certificate_gets_no_channel_ordered(run, tmp_path):
    emt = run.chain.names.emt
    identity = run.chain.pki.issue_wan_to(tmp_path / "id", f"{emt}.EMT", span=EXPIRED)
    with pytest.raises(PeerRefused, match="certificate expired"):
        await order_connect(run, identity)
    await run.fault("gwa.tls-refused", "certificate expired")
    assert not run.relay_closed


async def test_the_smgw_opens_no_channel_to_an_emt_whose_certificate_expired(run, tmp_path):
    chain = run.chain
    emt = chain.names.emt
    identity = chain.pki.issue_wan_to(tmp_path / "id", f"{emt}.EMT", span=EXPIRED)
    context = wan_server(identity, chain.pki.wan_trust)
    reached = []
    impostor = TlsListener(
        context, lambda _peer: http_client_protocol(reached.append), lambda *_: None
    )
    port = chain.roles["emt"].ports["channel"]
    await chain.roles["emt"].kill()
    try:
        await impostor.start("127.0.0.1", port)
        await run.fault("channel.failed", "certificate expired")
        assert not reached and not run.relay_closed
    finally:
        await impostor.close()
        await chain.start_role("emt")


@pytest.mark.parametrize("role", ["SMGW", "GWA"])
async def test_only_market_participants_order_channels_at_the_gwa(run, role):
    pki = run.chain.pki
    triplet = {"SMGW": pki.smgw, "GWA": pki.gwa}[role]
    answer = await order_connect(run, triplet.tls)
    assert answer.status == 403 and "is no EMT: may not order channels" in answer.error_text()
    await run.fault("gwa.refused", "is no EMT")
    assert not run.relay_closed


async def test_a_cls_certificate_does_not_pass_the_gwas_handshake(run):
    chain = run.chain
    context = han_client(chain.pki.cls(chain.names.cls), chain.pki.wan_trust)
    port = chain.roles["gwa"].ports["service"]
    with pytest.raises((PeerRefused, PeerSilent)):
        await post("GWA", chain.names.gwa, port, context, "/gwa/v1/connect", content={})
    await run.fault("gwa.tls-refused", "")
    assert not run.relay_closed


async def test_only_smgws_deliver_records_to_the_aemt(run):
    chain = run.chain
    context = wan_client(chain.pki.emt(chain.names.emt).tls, chain.pki.wan_trust)
    port = chain.roles["emt"].ports["delivery"]
    before = (await chain.operator.status())["stored"]
    answer = await post("EMT", chain.names.emt, port, context, "/emt/v1/records", body=b"\x30\x00")
    assert answer.status == 403 and "is no SMGW: may not deliver" in answer.error_text()
    await run.fault("delivery.role", "is no SMGW")
    assert (await chain.operator.status())["stored"] == before
    assert not run.relay_closed


async def test_a_signature_certificate_opens_no_connection(run):
    chain = run.chain
    sig = chain.pki.emt(chain.names.emt).sig
    with pytest.raises((PeerRefused, PeerSilent)):
        await order_connect(run, sig)
    await run.fault("gwa.tls-refused", "")
    assert not run.relay_closed


async def test_a_command_for_a_cls_without_profile_is_refused(run):
    await run.refused("is not known here", cls_id=run.chain.names.foreign_cls)
    event = await run.fault("wan.refused", "is not known here")
    assert event["detail"]["status"] == 404
    assert not run.told("command.forwarded") and not run.relay_closed


async def test_a_cls_may_not_announce_the_event_of_another(run):
    chain = run.chain
    body = (
        f'{{"uuid":"{uuidlib.uuid4()}","cls_id":"{chain.names.foreign_cls}","event":"begin",'
        f'"text":"","event_ms":{chain.clock.now_ms()},"device_seq":1}}'
    ).encode()
    answer = await run.ask_han(http("POST", "/smgw/cls/v1/fas/event", body))
    assert b" 403 " in answer.split(b"\r\n")[0] and b"may not act for" in answer
    await run.fault("han.refused", "may not act for")
    assert not run.switched() and not run.relay_closed


@pytest.mark.parametrize("profile", ["taf16-nobody", "taf7-rod"])
async def test_a_command_without_its_taf16_profile_is_refused(run, profile):
    await run.refused(f"no TAF16 profile '{profile}'", taf_profile=profile)
    await run.fault("wan.refused", f"no TAF16 profile '{profile}'")
    assert not run.told("command.forwarded") and not run.relay_closed
