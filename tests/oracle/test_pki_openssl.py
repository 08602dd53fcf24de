"""The certificates as `openssl` sees them: strictly valid, for their purpose and no other."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clsbench.pki import files, names
from clsbench.pki.layout import Pki

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not on PATH")
CLS_ID = "ETST0020000017"


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert OPENSSL is not None
    command = [OPENSSL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def verified(pki: Pki, cert: Path, purpose: str, trust: Path | None = None) -> bool:
    """Only the root is trusted, the sub-CA comes from beside."""
    anchor = (
        ["-CAfile", trust] if trust else ["-CAfile", pki.root_cert, "-untrusted", pki.sub_cert]
    )
    done = openssl("verify", "-x509_strict", "-purpose", purpose, *anchor, cert)
    return done.returncode == 0


def test_wan_tls_certificates_verify_for_both_ends(pki: Pki):
    for identity in (pki.gwa.tls, pki.smgw.tls, pki.emt("flexmarkt").tls):
        assert verified(pki, identity.cert, "sslclient")
        assert verified(pki, identity.cert, "sslserver")


def test_signature_and_encryption_certificates_verify_for_content(pki: Pki):
    assert verified(pki, pki.smgw.sig.cert, "smimesign")
    assert not verified(pki, pki.smgw.enc.cert, "smimesign")
    assert verified(pki, pki.smgw.enc.cert, "any")
    assert not verified(pki, pki.smgw.tls.cert, "smimesign")


def test_han_certificates_verify_under_the_han_ca_alone(pki: Pki):
    device = pki.cls(CLS_ID).cert
    assert verified(pki, device, "sslclient", pki.han_trust)
    assert verified(pki, pki.smgw_han.cert, "sslserver", pki.han_trust)
    assert not verified(pki, device, "sslclient")
    assert not verified(pki, pki.gwa.tls.cert, "sslserver", pki.han_trust)


def test_sub_ca_verifies_as_authority_and_end_user_does_not(pki: Pki):
    for cert, depth in ((pki.sub_cert, "0"), (pki.root_cert, "1")):
        text = openssl("x509", "-in", cert, "-noout", "-ext", "basicConstraints").stdout
        assert "critical" in text and f"CA:TRUE, pathlen:{depth}" in text
    text = openssl("x509", "-in", pki.smgw.tls.cert, "-noout", "-ext", "basicConstraints").stdout
    assert "critical" in text and "CA:FALSE" in text


def test_openssl_reads_names_curve_signature_and_usage(pki: Pki):
    text = openssl("x509", "-in", pki.smgw.tls.cert, "-noout", "-text").stdout
    assert re.search(r"Subject: O ?= ?SM-Test-PKI-clsbench, CN ?= ?ETST0010000001\.SMGW", text)
    assert "ASN1 OID: brainpoolP256r1" in text
    assert text.count("ecdsa-with-SHA256") == 2
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text
    assert "DNS:etst0010000001.smgw" in text
    text = openssl("x509", "-in", pki.smgw.enc.cert, "-noout", "-ext", "keyUsage").stdout
    assert "Key Agreement" in text and "Digital Signature" not in text


def test_key_files_are_whole_pkcs8_and_fit_their_certificates(pki: Pki):
    for identity in (pki.gwa.tls, pki.smgw.sig, pki.smgw_han, pki.cls(CLS_ID)):
        assert identity.key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
        assert openssl("pkey", "-in", identity.key, "-check", "-noout").returncode == 0
        from_key = openssl("pkey", "-in", identity.key, "-pubout").stdout
        from_cert = openssl("x509", "-in", identity.cert, "-noout", "-pubkey").stdout
        assert from_key == from_cert != ""


def test_fingerprint_is_openssls(pki: Pki):
    from_openssl = openssl(
        "x509", "-in", pki.gwa.tls.cert, "-noout", "-fingerprint", "-sha256"
    ).stdout
    own = names.fingerprint(files.read_certificate(pki.gwa.tls.cert))
    assert from_openssl.strip().partition("=")[2].replace(":", "").lower() == own
