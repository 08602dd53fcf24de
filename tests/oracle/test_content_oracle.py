"""Enveloped content against `openssl cms`, asn1crypto and an opener that is not ours.

openssl 3 knows no ecka-eg-X963KDF-SHA256, though its dhSinglePass-stdDH-sha256kdf computes the
same: where it is to decrypt, that one identifier is exchanged first, which no code covers. It has
no CBC-CMAC, and reads authenticated attributes under another tag than RFC 5083 gives them, so of
compressed content it sees the signature only. What it cannot do, the second opener does.
"""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import cms as asn1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from second_opener import CBC_CMAC_128, ECKA_EG_SHA256, cmac, opened

from clsbench.pki.layout import DEFAULT_EMT, Pki
from clsbench.smgw.core import cms
from clsbench.smgw.core.cms_envelope import CBC_CMAC, GCM, SUITES, unseal
from clsbench.smgw.core.cms_keys import OwnKey, Recipient
from clsbench.smgw.core.content import Signer, make

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not on PATH")
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")
CONTENT = b'{"seq":7,"smgw_id":"ETST0010000001","type":"taf16"}' * 3
STD_DH_SHA256_KDF = "1.3.132.1.11.1"  # dhSinglePass-stdDH-sha256kdf-scheme (RFC 5753)
AES_128_GCM = "2.16.840.1.101.3.4.1.6"
DATA, COMPRESSED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.9.16.1.9"
ENVELOPED, ZLIB = "1.2.840.113549.1.9.16.1.23", "1.2.840.113549.1.9.16.3.8"


def message(pki: Pki, suite: str, compressed: bool) -> bytes:
    sig = pki.smgw.sig
    signer = Signer(sig.cert.read_bytes(), sig.key.read_bytes())
    recipient = Recipient.of(pki.emt(DEFAULT_EMT).enc.cert.read_bytes())
    return make(CONTENT, signer, recipient, datetime.now(UTC), suite, compressed)


def run_openssl(data: bytes, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    assert OPENSSL is not None
    command = [OPENSSL, "cms", "-binary", "-inform", "DER", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, timeout=120, check=False)


def renamed(envelope: bytes, algorithm: str) -> bytes:
    """The same envelope with the key agreement called by another identifier."""
    data = asn1.AuthEnvelopedData.load(envelope)
    kari = data["recipient_infos"][0].chosen
    kari["key_encryption_algorithm"]["algorithm"] = algorithm
    return data.dump(force=True)


def decrypted(pki: Pki, envelope: bytes) -> subprocess.CompletedProcess[bytes]:
    info = {"content_type": ENVELOPED, "content": asn1.AuthEnvelopedData.load(envelope)}
    enc = pki.emt(DEFAULT_EMT).enc
    der = asn1.ContentInfo(info).dump()
    return run_openssl(der, "-decrypt", "-recip", enc.cert, "-inkey", enc.key)


@needs_openssl
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("compressed", [True, False])
def test_openssl_verifies_the_signature_over_every_envelope(pki: Pki, suite, compressed):
    der = message(pki, suite, compressed)
    done = run_openssl(der, "-verify", "-CAfile", pki.wan_trust)
    assert done.returncode == 0, done.stderr
    signed = cms.verify(der, pki.wan_trust.read_bytes(), "SMGW", ENVELOPED)
    assert done.stdout == signed.content


@needs_openssl
def test_openssl_decrypts_ours_in_gcm(pki: Pki):
    done = run_openssl(message(pki, GCM, False), "-verify", "-CAfile", pki.wan_trust)
    plain = decrypted(pki, renamed(done.stdout, STD_DH_SHA256_KDF))
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout == CONTENT


@needs_openssl
def test_we_open_openssls_in_gcm(pki: Pki):
    enc = pki.emt(DEFAULT_EMT).enc
    options = ["-encrypt", "-aes-128-gcm", "-outform", "DER", "-keyid", "-recip", enc.cert]
    done = run_openssl(CONTENT, *options, "-keyopt", "ecdh_kdf_md:sha256")
    assert done.returncode == 0, done.stderr
    theirs = asn1.ContentInfo.load(done.stdout)["content"].untag().dump()
    own = OwnKey.of(enc.cert.read_bytes(), enc.key.read_bytes())
    assert unseal(renamed(theirs, ECKA_EG_SHA256), [own]) == (CONTENT, DATA, GCM)


@needs_openssl
def test_openssl_verifies_a_detached_signature_and_we_verify_its(pki: Pki, tmp_path: Path):
    sig, trust = pki.smgw.sig, pki.wan_trust
    ours = cms.sign(
        CONTENT, sig.cert.read_bytes(), sig.key.read_bytes(), datetime.now(UTC), detached=True
    )
    beside = tmp_path / "content"
    beside.write_bytes(CONTENT)
    done = run_openssl(ours, "-verify", "-CAfile", trust, "-content", beside)
    assert done.returncode == 0 and done.stdout == CONTENT, done.stderr
    options = ["-sign", "-nosmimecap", "-md", "sha256", "-outform", "DER", "-keyid"]
    theirs = run_openssl(CONTENT, *options, "-signer", sig.cert, "-inkey", sig.key)
    assert theirs.returncode == 0, theirs.stderr
    found = cms.verify(theirs.stdout, trust.read_bytes(), "SMGW", detached=CONTENT)
    assert found.content == CONTENT


@needs_openssl
def test_openssl_shows_every_identifier_of_an_envelope_in_cbc_cmac(pki: Pki):
    done = run_openssl(message(pki, CBC_CMAC, False), "-verify", "-CAfile", pki.wan_trust)
    info = {"content_type": ENVELOPED, "content": asn1.AuthEnvelopedData.load(done.stdout)}
    printed = run_openssl(asn1.ContentInfo(info).dump(), "-cmsout", "-print", "-noout")
    assert printed.returncode == 0, printed.stderr
    for identifier in (CBC_CMAC_128, ECKA_EG_SHA256):
        assert identifier.encode() in printed.stdout


@pytest.mark.parametrize(("suite", "cipher"), [(GCM, AES_128_GCM), (CBC_CMAC, CBC_CMAC_128)])
@pytest.mark.parametrize("compressed", [True, False])
def test_the_second_opener_reads_every_form(pki: Pki, suite, cipher, compressed):
    der = message(pki, suite, compressed)
    signed = asn1.ContentInfo.load(der, strict=True)["content"]
    assert signed["version"].native == "v3"
    assert signed["encap_content_info"]["content_type"].dotted == ENVELOPED
    key = load_pem_private_key(pki.emt(DEFAULT_EMT).enc.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    envelope = bytes(signed["encap_content_info"]["content"])
    plain, met = opened(envelope, key)
    assert plain == CONTENT
    inner = [COMPRESSED, ZLIB] if compressed else [DATA]
    assert met == [ECKA_EG_SHA256, cipher, *inner]


def test_the_second_openers_cmac_gives_the_vectors_of_rfc_4493():
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    data = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411"
    )
    assert cmac(key, b"").hex() == "bb1d6929e95937287fa37d129b756746"
    assert cmac(key, data[:16]).hex() == "070a16b46b4d4144f79bdd9dd04a287c"
    assert cmac(key, data).hex() == "dfa66747de9ae63030ca32611497c827"
    library = CMAC(algorithms.AES(key))
    library.update(data[:23])
    assert library.finalize() == cmac(key, data[:23])
