"""Roles take up renewed certificates and tell what ends, while they run."""

import asyncio
import tempfile
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from matrix_bench import HOST, SNI, Ports, Roles, roles
from matrix_kit import all_events

from clsbench.pki import operations
from clsbench.pki.layout import Pki
from clsbench.smgw.core.logs import SYSTEM_LOG

pytestmark = pytest.mark.asyncio(loop_scope="module")
FOLDERS = {
    "han": "han", "management": "gwa", "service": "gwa",
    "channel": "emt-flexmarkt", "delivery": "emt-flexmarkt",
}  # fmt: skip


def short_lived(pki: Pki) -> None:
    for party in ("smgw", "gwa", "emt-flexmarkt"):
        operations.renew(pki, party, days=5)
    operations.issue_lists(pki, days=3)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on():
    with tempfile.TemporaryDirectory(prefix="renewal-") as folder:
        async with roles(Path(folder), short_lived) as running:
            yield running


async def connected(on: Roles, port: str) -> tuple[asyncio.StreamWriter, int]:
    """A standing connection, and the serial number of the certificate that the port shows."""
    _, writer = await asyncio.open_connection(
        HOST, on.ports[port], ssl=Ports(on)._client(port, on.identity(port)), server_hostname=SNI
    )
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return writer, x509.load_der_x509_certificate(der).serial_number


@pytest.mark.parametrize("port", FOLDERS)
async def test_port_shows_the_renewed_certificate_and_cuts_nobody(on: Roles, port: str):
    standing, before = await connected(on, port)
    made = operations.renew(on.pki, FOLDERS[port])
    now = next(each.now for each in made if each.path.stem.split(".")[0] in ("tls", "smgw"))
    await asyncio.sleep(0.02)
    assert not standing.is_closing()
    fresh, shown = await connected(on, port)
    assert before != shown == now
    events = [each for each in all_events(on) if each["name"] == "tls.files" and each["ok"]]
    assert f"{FOLDERS[port]}/" in events[-1]["detail"]["reason"]
    for writer in (standing, fresh):
        writer.close()


async def test_revoked_old_certificate_is_of_no_use_once_the_new_one_is_there(on: Roles):
    old = on.forges["channel"].make("good")
    writer, _ = await connected(on, "channel")
    writer.close()
    operations.revoke(on.pki, str(old.cert), "superseded")
    assert await Ports(on).certificate("channel", old) == "certificate revoked"
    writer, _ = await connected(on, "channel")
    writer.close()


async def test_what_ends_soon_is_told_by_the_role_whose_it_is(on: Roles):
    await asyncio.sleep(0)
    told = [each["detail"] for each in all_events(on) if each["name"] == "pki.expiring"]
    ends = {(each["file"].rpartition("pki/")[2], each["state"]) for each in told}
    for name in ("tls.crt.pem", "enc.crt.pem", "sig.crt.pem"):
        for party in ("smgw", "gwa", "emt-flexmarkt"):
            assert (f"{party}/{name}", "expires soon") in ends
    assert ("wan-crl.pem", "expires soon") in ends
    log = await on.gateway.worker.run(on.gateway.store.read_log, SYSTEM_LOG)
    texts = [each.message for each in log if each.event == "pki.expiring"]
    assert any("clsbench pki renew DIR smgw" in text for text in texts)
    assert any("clsbench pki crl" in text for text in texts)


async def test_signature_of_a_record_is_made_with_the_renewed_key(on: Roles):
    sign = on.gateway._signer()
    before = sign(b"content")
    operations.renew(on.pki, "smgw")
    after = sign(b"content")
    own = x509.load_pem_x509_certificate(on.pki.smgw.sig.cert.read_bytes())
    serial = own.serial_number.to_bytes((own.serial_number.bit_length() + 7) // 8, "big")
    assert serial in after and serial not in before
