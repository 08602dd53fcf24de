"""Who does not get through the TLS listener, and that both sides are told why."""

import asyncio
import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tls_kit import HOST, gwa_service, open_to, refused_by, running

from clsbench.errors import PeerRefused
from clsbench.net.tls import peer_of, wan_client, wan_server
from clsbench.pki.authority import Validity
from clsbench.pki.layout import Pki

NOW = datetime.now(UTC)
PAST = Validity(NOW - timedelta(hours=12), NOW - timedelta(hours=1))
FUTURE = Validity(NOW + timedelta(hours=1), NOW + timedelta(hours=12))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.init(tmp_path_factory.mktemp("pki") / "foreign")


async def test_client_without_certificate_is_refused(pki: Pki):
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.maximum_version = ssl.TLSVersion.TLSv1_2
    bare.set_ecdh_curve("brainpoolP256r1")
    bare.load_verify_locations(pki.wan_trust)
    async with running(gwa_service(pki), "SMGW") as service:
        with pytest.raises(PeerRefused, match="no certificate shown"):
            await open_to(service, bare)
        assert await service.refusal() == "no certificate shown"


@pytest.mark.parametrize(
    ("span", "ours", "theirs"),
    [
        (PAST, "certificate expired", "refused: certificate expired"),
        (FUTURE, "certificate not yet valid", "refused: bad certificate .*not yet valid"),
    ],
)
async def test_certificate_outside_its_time_is_refused(
    pki: Pki, tmp_path: Path, span: Validity, ours: str, theirs: str
):
    identity = pki.issue_wan_to(tmp_path / "late", "ETST0010000001.SMGW", span=span)
    async with running(gwa_service(pki), "SMGW") as service:
        told = await refused_by(service, wan_client(identity, pki.wan_trust))
        assert re.search(theirs, told)
        assert await service.refusal() == ours


async def test_certificate_of_an_unknown_ca_is_refused(pki: Pki, foreign: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        told = await refused_by(service, wan_client(foreign.smgw.tls, pki.wan_trust))
        assert "refused: unknown CA" in told
        assert await service.refusal() == "unknown CA"


async def test_server_of_an_unknown_ca_is_refused_by_the_client_and_learns_it(
    pki: Pki, foreign: Pki
):
    async with running(wan_server(foreign.gwa.tls, pki.wan_trust), "SMGW") as service:
        with pytest.raises(PeerRefused, match="GWA at 127.0.0.1:[0-9]+: unknown CA"):
            await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
        assert await service.refusal() == "the other side refused: unknown CA"


async def test_cls_certificate_at_a_wan_service_is_refused(pki: Pki):
    """It comes from the HAN CA, on another curve: the handshake itself must fail."""
    async with running(gwa_service(pki), "SMGW", "CLS") as service:
        client = wan_client(pki.cls("ETST0020000017"), pki.wan_trust)
        assert await refused_by(service, client)
        assert await service.refusal() in (
            "unknown CA",
            "certificate is on a curve not allowed here",
        )
    assert service.peers == []


async def test_wrong_role_is_refused_after_the_handshake(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        client = wan_client(pki.emt("flexmarkt").tls, pki.wan_trust)
        reader, writer = await open_to(service, client)
        assert await reader.read() == b""
        assert await service.refusal() == "role EMT of flexmarkt.EMT has no business here"
        writer.close()


async def test_common_name_without_role_is_refused(pki: Pki, tmp_path: Path):
    identity = pki.issue_wan_to(tmp_path / "odd", "someone.example")
    async with running(gwa_service(pki), "SMGW") as service:
        reader, writer = await open_to(service, wan_client(identity, pki.wan_trust))
        assert await reader.read() == b""
        assert "'someone.example' names no role" in await service.refusal()
        writer.close()


async def test_signature_certificate_does_not_open_tls(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        reader, writer = await open_to(service, wan_client(pki.smgw.sig, pki.wan_trust))
        assert await reader.read() == b""
        assert (
            await service.refusal() == "certificate of ETST0010000001.SMGW is for sig, not for TLS"
        )
        writer.close()


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\x00garbage" * 40])
async def test_plain_bytes_instead_of_tls_are_refused(pki: Pki, first: bytes):
    async with running(gwa_service(pki), "SMGW") as service:
        reader, writer = await asyncio.open_connection(HOST, service.port)
        writer.write(first)
        assert (await service.refusal()).startswith("not TLS")
        writer.close()


@pytest.mark.parametrize(("role", "name"), [("EMT", None), ("GWA", "gwa-other")])
async def test_client_refuses_another_party_than_expected(pki: Pki, role: str, name: str | None):
    async with running(gwa_service(pki), "SMGW") as service:
        client = wan_client(pki.smgw.tls, pki.wan_trust)
        with pytest.raises(PeerRefused, match="gwa-test.GWA answered instead"):
            await open_to(service, client, role, name)


async def test_failed_handshake_inside_a_served_connection_alerts_only_its_own_peer(
    pki: Pki, foreign: Pki
):
    """A task born in a served connection opens another one, which fails: no stray bytes."""
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    client = wan_client(pki.smgw.tls, pki.wan_trust)

    async with running(wan_server(foreign.gwa.tls, foreign.wan_trust), "SMGW") as other:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await asyncio.open_connection(HOST, other.port, ssl=client, server_hostname="")
            except ssl.SSLError as error:
                outcome.set_result(error.reason)
            writer.write(b"still whole\n")
            writer.close()

        async with running(gwa_service(pki), "SMGW") as service:
            service.make = lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), serve)
            reader, writer = await open_to(service, client)
            assert await reader.read() == b"still whole\n"
            assert await outcome == "CERTIFICATE_VERIFY_FAILED"
            writer.close()


def test_peer_of_plain_connection_is_refused():
    with pytest.raises(PeerRefused, match="no certificate shown"):
        peer_of(None)
