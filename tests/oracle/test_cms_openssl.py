"""Our signed content against `openssl cms`: each accepts the other's, both refuse the altered."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clsbench.pki.layout import Pki
from clsbench.smgw.core.cms import CmsError, sign, verify

OPENSSL = shutil.which("openssl")
pytestmark = [
    pytest.mark.skipif(OPENSSL is None, reason="openssl is not on PATH"),
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
]
CONTENT = b'{"seq":7,"smgw_id":"ETST0010000001","type":"taf16"}'
SIGN_OPTIONS = ["-sign", "-binary", "-nodetach", "-nosmimecap", "-md", "sha256", "-outform", "DER"]


@pytest.fixture(scope="module")
def signed(pki: Pki) -> bytes:
    cert, key = pki.smgw.sig.cert.read_bytes(), pki.smgw.sig.key.read_bytes()
    return sign(CONTENT, cert, key, datetime.now(UTC))


def openssl_cms(content: bytes, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    assert OPENSSL is not None
    command = [OPENSSL, "cms", *map(str, arguments)]
    return subprocess.run(command, input=content, capture_output=True, timeout=120, check=False)


def openssl_verify(pki: Pki, der: bytes) -> bytes | None:
    """The content when openssl accepts `der`, else None."""
    done = openssl_cms(der, "-verify", "-binary", "-inform", "DER", "-CAfile", pki.wan_trust)
    return done.stdout if done.returncode == 0 else None


def openssl_sign(pki: Pki, *options: str) -> bytes:
    identity = pki.smgw.sig
    done = openssl_cms(
        CONTENT, *SIGN_OPTIONS, "-signer", identity.cert, "-inkey", identity.key, *options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_openssl_accepts_ours(pki: Pki, signed: bytes):
    assert openssl_verify(pki, signed) == CONTENT


@pytest.mark.parametrize("options", [["-keyid"], []], ids=["key identifier", "issuer and serial"])
def test_we_accept_openssls(pki: Pki, options: list[str]):
    found = verify(openssl_sign(pki, *options), pki.wan_trust.read_bytes(), role="SMGW")
    assert found.content == CONTENT
    assert abs((datetime.now(UTC) - found.signing_time).total_seconds()) < 60


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-noattr"], "no signed attributes"),
        (["-nocerts"], "signer's certificate and no other"),
        (["-md", "sha512"], "not SHA-256 alone"),
    ],
)
def test_we_refuse_openssls_in_another_form(pki: Pki, options: list[str], reason: str):
    with pytest.raises(CmsError, match=reason):
        verify(openssl_sign(pki, *options), pki.wan_trust.read_bytes())


def test_both_refuse_altered_content_attributes_and_signature(pki: Pki, signed: bytes):
    trust = pki.wan_trust.read_bytes()
    places = {
        "content": signed.index(b'"seq":7') + 6,
        "message digest": signed.rindex(bytes.fromhex("06092a864886f70d010904")) + 20,
        "signing time": signed.rindex(bytes.fromhex("06092a864886f70d010905")) + 16,
        "signature": len(signed) - 5,
        "key identifier": signed.rindex(bytes.fromhex("8014")) + 6,
    }
    for place, position in places.items():
        broken = bytearray(signed)
        broken[position] ^= 1
        assert openssl_verify(pki, bytes(broken)) is None, place
        with pytest.raises(CmsError):
            verify(bytes(broken), trust)


def test_we_accept_no_flip_that_openssl_refuses(pki: Pki, signed: bytes):
    """A sample of positions; a flip openssl tolerates must leave the content as it was."""
    trust = pki.wan_trust.read_bytes()
    for position in range(5, len(signed), 41):
        broken = bytearray(signed)
        broken[position] ^= 0x04
        with pytest.raises(CmsError):
            verify(bytes(broken), trust)
        assert openssl_verify(pki, bytes(broken)) in (None, CONTENT)


def test_both_refuse_a_foreign_signer(pki: Pki, tmp_path: Path):
    foreign = Pki.init(tmp_path / "foreign")
    cert, key = foreign.smgw.sig.cert.read_bytes(), foreign.smgw.sig.key.read_bytes()
    der = sign(CONTENT, cert, key, datetime.now(UTC))
    assert openssl_verify(pki, der) is None
    with pytest.raises(CmsError, match="unknown CA"):
        verify(der, pki.wan_trust.read_bytes())
