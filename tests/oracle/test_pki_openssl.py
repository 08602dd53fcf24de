"""The certificates as `openssl` sees them: strictly valid, for their purpose and no other."""

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from clsbench.net import tls_openssl
from clsbench.net.tls import Crl, wan_client
from clsbench.net.tls_policy import SIGNATURES, WAN
from clsbench.pki import crl, files, names, operations
from clsbench.pki.layout import Pki

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not on PATH")
CLS_ID = "ETST0020000017"
SUB_SIGNS = "ecdsa-with-SHA384"


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert OPENSSL is not None
    command = [OPENSSL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


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
    assert text.count("ecdsa-with-SHA384") == 2
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text
    assert "DNS:etst0010000001.smgw" in text
    text = openssl("x509", "-in", pki.smgw.enc.cert, "-noout", "-ext", "keyUsage").stdout
    assert "Key Agreement" in text and "Digital Signature" not in text


def test_every_certificate_has_the_curve_and_signature_of_its_rank(pki: Pki):
    """As TR-03116-3 has it since 2025; the signature is the issuer's."""
    ranks = {
        pki.root_cert: ("brainpoolP512r1", "ecdsa-with-SHA512"),
        pki.sub_cert: ("brainpoolP384r1", "ecdsa-with-SHA512"),
    }
    for path in pki.certificates():
        han = path.parent.name == "han" or path.parent.name.startswith(("cls-", "con-", "srv-"))
        end = ("prime256v1", "ecdsa-with-SHA256") if han else ("brainpoolP256r1", SUB_SIGNS)
        curve, signature = ranks.get(path, end)
        text = openssl("x509", "-in", path, "-noout", "-text").stdout
        assert re.findall(r"ASN1 OID: (\S+)", text) == [curve], path
        assert re.findall(r"Signature Algorithm: (\S+)", text) == [signature] * 2, path


def test_lists_are_signed_as_their_issuers_sign(pki: Pki, tmp_path: Path):
    lists = crl.read_lists(pki.wan_crl.read_bytes())
    for each, signature in zip(lists, (SUB_SIGNS, "ecdsa-with-SHA512"), strict=True):
        path = tmp_path / "list.pem"
        path.write_bytes(crl.pem_of([each]))
        done = openssl("crl", "-in", path, "-noout", "-text", "-CAfile", pki.wan_trust)
        assert re.findall(r"Signature Algorithm: (\S+)", done.stdout) == [signature] * 2
        assert "verify OK" in done.stderr


def test_whole_chain_verifies_with_the_lists_of_all_authorities(tmp_path: Path):
    made = Pki.init(tmp_path / "pki")
    own, lost = made.smgw.tls.cert, made.emt("flexmarkt").tls.cert
    assert listed(made, own, made.wan_crl) == listed(made, lost, made.wan_crl) == "OK"
    operations.revoke(made, "emt-flexmarkt", "key-compromise")
    assert listed(made, own, made.wan_crl) == "OK"
    assert "certificate revoked" in listed(made, lost, made.wan_crl)
    operations.revoke(made, str(made.sub_cert))
    assert "error 23 at 1 depth lookup: certificate revoked" in listed(made, own, made.wan_crl)
    alone = tmp_path / "sub-alone.pem"
    alone.write_bytes(crl.pem_of(crl.read_lists(made.wan_crl.read_bytes())[:1]))
    assert "unable to get certificate CRL" in listed(made, own, alone)


def listed(pki: Pki, cert: Path, lists: Path) -> str:
    """What openssl finds of a chain with all its lists: OK, or why not."""
    anchor = ("-CAfile", pki.root_cert, "-untrusted", pki.sub_cert)
    checks = ("-x509_strict", "-check_ss_sig", "-crl_check_all", "-CRLfile", lists)
    done = openssl("verify", *checks, *anchor, cert)
    return "OK" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.skipif(not tls_openssl.can_set_all(), reason="this Python sets one curve only")
def test_peer_that_holds_the_whole_chain_against_our_hello_takes_it(pki: Pki):
    """With -strict, curves and signatures that we offer must fit the sub-CA's certificate, too."""
    assert OPENSSL is not None
    own = ("-cert", pki.gwa.tls.cert, "-cert_chain", pki.sub_cert, "-key", pki.gwa.tls.key)
    trust = ("-CAfile", pki.root_cert, "-Verify", "2", "-verify_return_error", "-strict")
    rules = ("-tls1_2", "-sigalgs", ":".join(SIGNATURES), "-curves", ":".join(WAN.groups))
    command = [OPENSSL, "s_server", "-accept", "127.0.0.1:0", "-naccept", "1"]
    with subprocess.Popen(
        [*command, *map(str, (*own, *trust, *rules))],
        stdin=subprocess.PIPE,  # at the end of its input it would leave
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            started = next(line for line in server.stdout if line.startswith("ACCEPT 127"))
            context = wan_client(pki.smgw.tls, pki.wan_trust, crl=Crl(pki.wan_crl))
            where = ("127.0.0.1", int(started.rpartition(":")[2]))
            with socket.create_connection(where, 20) as plain, context.wrap_socket(plain) as made:
                assert made.version() == "TLSv1.2"
                made.sendall(b"taken\n")
            told = server.stdout.read()  # it ends with its one connection
        finally:
            server.kill()
    assert "verify error" not in told and "taken" in told


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
