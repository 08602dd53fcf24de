"""Signed gateway content: what verifies, and that no altered byte ever does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from asn1crypto import algos, core
from asn1crypto import cms as asn1
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.errors import BadInput
from clsbench.pki import files
from clsbench.pki.authority import Validity
from clsbench.pki.layout import Pki
from clsbench.pki.names import TLS
from clsbench.smgw.core.cms import MAX_BYTES, CmsError, sign, verify

NOW = datetime.now(UTC).replace(microsecond=0)
CONTENT = b'{"seq":7,"smgw_id":"ETST0010000001","type":"taf16"}'
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")


@pytest.fixture(scope="module")
def trust(pki: Pki) -> bytes:
    return pki.wan_trust.read_bytes()


@pytest.fixture(scope="module")
def signed(pki: Pki) -> bytes:
    return signed_by(pki.smgw.sig)


def signed_by(identity, at: datetime = NOW, content: bytes = CONTENT) -> bytes:
    return sign(content, identity.cert.read_bytes(), identity.key.read_bytes(), at)


def altered(der: bytes, change: Callable[[asn1.ContentInfo], None]) -> bytes:
    """Takes the message apart, changes a field that no signature may cover, encodes it anew."""
    info = asn1.ContentInfo.load(der)
    change(info)
    return info.dump(force=True)


def test_signed_content_comes_back_with_signer_and_time(signed: bytes, trust: bytes):
    found = verify(signed, trust, role="SMGW")
    assert found.content == CONTENT
    assert (found.signer.cn, found.signer.role) == ("ETST0010000001.SMGW", "SMGW")
    assert (found.signer.name, found.signing_time) == ("ETST0010000001", NOW)


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x30\x80\x00\x00", b"x" * 100_000])
def test_any_content_survives(pki: Pki, trust: bytes, content: bytes):
    assert verify(signed_by(pki.smgw.sig, content=content), trust).content == content


def test_structure_is_version_3_with_key_identifier_and_three_signed_attributes(signed: bytes):
    data = asn1.ContentInfo.load(signed)["content"]
    signer = data["signer_infos"][0]
    assert data["version"].native == signer["version"].native == "v3"
    assert signer["sid"].name == "subject_key_identifier"
    assert signer["signature_algorithm"]["algorithm"].native == "sha256_ecdsa"
    kinds = {attribute["type"].native for attribute in signer["signed_attrs"]}
    assert kinds == {"content_type", "message_digest", "signing_time"}
    assert len(data["certificates"]) == 1


def test_signing_time_of_another_zone_is_the_same_instant(pki: Pki, trust: bytes):
    local = NOW.astimezone(timezone(timedelta(hours=2)))
    assert verify(signed_by(pki.smgw.sig, local), trust).signing_time == NOW


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_refused(signed: bytes, trust: bytes, mask: int):
    for position in range(mask % 3, len(signed), 3):
        broken = bytearray(signed)
        broken[position] ^= mask
        with pytest.raises(CmsError):
            verify(bytes(broken), trust, role="SMGW")


def test_every_cut_and_every_tail_is_refused(signed: bytes, trust: bytes):
    for length in range(0, len(signed), 7):
        with pytest.raises(CmsError):
            verify(signed[:length], trust)
    for tail in (b"\x00", b"\x05\x00", signed):
        with pytest.raises(CmsError):
            verify(signed + tail, trust)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_and_nothing_else_is_raised(trust: bytes, junk: bytes):
    with pytest.raises(CmsError):
        verify(junk, trust)


def test_trust_that_is_none_is_the_callers_fault_and_not_the_signers(signed: bytes, pki: Pki):
    with pytest.raises(BadInput, match="trusted certificates are not PEM"):
        verify(signed, b"")
    with pytest.raises(TypeError):
        verify(signed, pki.wan_trust)  # type: ignore[arg-type]  # a path is not its content


def test_message_over_the_limit_is_refused_before_it_is_read(trust: bytes):
    with pytest.raises(CmsError, match=f"more than {MAX_BYTES}"):
        verify(b"\x30" * (MAX_BYTES + 1), trust)


def test_swapped_content_is_refused(pki: Pki, signed: bytes, trust: bytes):
    def swap(info: asn1.ContentInfo) -> None:
        info["content"]["encap_content_info"]["content"] = CONTENT.replace(b"7", b"8")

    with pytest.raises(CmsError, match="content was altered"):
        verify(altered(signed, swap), trust)


def test_moved_signing_time_is_refused(signed: bytes, trust: bytes):
    moved = signed.replace(f"{NOW:%y%m%d%H%M%S}Z".encode(), b"300101000000Z")
    assert moved != signed
    with pytest.raises(CmsError, match="signature does not hold"):
        verify(moved, trust)


def test_signature_of_another_message_is_refused(pki: Pki, signed: bytes, trust: bytes):
    other = asn1.ContentInfo.load(signed_by(pki.smgw.sig, content=b"other"))

    def swap(info: asn1.ContentInfo) -> None:
        info["content"]["signer_infos"][0]["signature"] = other["content"]["signer_infos"][0][
            "signature"
        ].native

    with pytest.raises(CmsError, match="signature does not hold"):
        verify(altered(signed, swap), trust)


def test_unsigned_additions_are_refused(pki: Pki, signed: bytes, trust: bytes):
    def unsigned_attribute(info: asn1.ContentInfo) -> None:
        extra = asn1.CMSAttribute({"type": "1.2.3.4", "values": [core.Null()]})
        info["content"]["signer_infos"][0]["unsigned_attrs"] = [extra]

    def second_certificate(info: asn1.ContentInfo) -> None:
        der = files.read_certificate(pki.gwa.sig.cert).public_bytes(Encoding.DER)
        other = asn1.CertificateChoices("certificate", asn1_x509.Certificate.load(der))
        info["content"]["certificates"].append(other)

    def second_signer(info: asn1.ContentInfo) -> None:
        info["content"]["signer_infos"].append(info["content"]["signer_infos"][0].copy())

    def no_signer(info: asn1.ContentInfo) -> None:
        info["content"]["signer_infos"] = []

    def no_content(info: asn1.ContentInfo) -> None:
        del info["content"]["encap_content_info"]["content"]

    def other_digest(info: asn1.ContentInfo) -> None:
        info["content"]["digest_algorithms"] = [algos.DigestAlgorithm({"algorithm": "sha512"})]

    changes = {
        unsigned_attribute: "unsigned attributes",
        second_certificate: "signer's certificate and no other",
        second_signer: "2 signers",
        no_signer: "0 signers",
        no_content: "content is missing",
        other_digest: "not SHA-256 alone",
    }
    for change, reason in changes.items():
        with pytest.raises(CmsError, match=reason):
            verify(altered(signed, change), trust)


def test_length_in_longer_form_than_needed_is_not_der_and_refused(signed: bytes, trust: bytes):
    assert signed[:2] == b"\x30\x82"
    with pytest.raises(CmsError, match="encoding is not DER"):
        verify(b"\x30\x83\x00" + signed[2:], trust)


def test_foreign_pki_is_refused(signed: bytes, tmp_path: Path):
    foreign = Pki.init(tmp_path / "foreign")
    with pytest.raises(CmsError, match="not trusted: unknown CA"):
        verify(signed, foreign.wan_trust.read_bytes())


def test_role_is_checked_when_asked(pki: Pki, trust: bytes):
    by_gwa = signed_by(pki.gwa.sig)
    assert verify(by_gwa, trust).signer.role == "GWA"
    with pytest.raises(CmsError, match="gwa-test.GWA, whose role is not SMGW"):
        verify(by_gwa, trust, role="SMGW")


def test_common_name_without_role_is_refused(pki: Pki, trust: bytes, tmp_path: Path):
    identity = pki.issue_wan_to(tmp_path / "odd", "someone.example", "sig")
    with pytest.raises(CmsError, match="names no role"):
        verify(signed_by(identity), trust)


@pytest.mark.parametrize(
    ("hours", "reason"), [(-30, "not yet valid"), (365 * 2 * 24 + 1, "had expired")]
)
def test_signing_time_outside_the_certificate_is_refused(
    pki: Pki, trust: bytes, hours: int, reason: str
):
    with pytest.raises(CmsError, match=reason):
        verify(signed_by(pki.smgw.sig, NOW + timedelta(hours=hours)), trust)


def test_certificate_expired_since_signing_still_proves_the_content(
    pki: Pki, trust: bytes, tmp_path: Path
):
    span = Validity(NOW - timedelta(hours=3), NOW - timedelta(hours=1))
    identity = pki.issue_wan_to(tmp_path / "old", "ETST0010000001.SMGW", "sig", span)
    at = NOW - timedelta(hours=2)
    assert verify(signed_by(identity, at), trust).signing_time == at


def test_only_a_signature_certificate_with_its_own_key_signs(pki: Pki):
    with pytest.raises(BadInput, match="not a signature certificate"):
        signed_by(pki.smgw.tls)
    with pytest.raises(BadInput, match="not a signature certificate"):
        sign(CONTENT, pki.smgw.sig.cert.read_bytes(), pki.gwa.sig.key.read_bytes(), NOW)
    with pytest.raises(BadInput, match="not on brainpoolP256r1"):
        signed_by(pki.smgw_han)
    with pytest.raises(BadInput, match="cannot be read"):
        sign(CONTENT, b"", b"", NOW)
    with pytest.raises(BadInput, match="no time zone"):
        signed_by(pki.smgw.sig, datetime(2026, 5, 4, 8, 15))


def test_content_signed_with_a_tls_certificate_is_refused(
    pki: Pki, trust: bytes, monkeypatch: pytest.MonkeyPatch
):
    """Made by a signer without scruples; the reader must keep the purposes apart."""
    with monkeypatch.context() as patched:
        patched.setattr("clsbench.smgw.core.cms.SIG", TLS)
        forged = signed_by(pki.smgw.tls)
    with pytest.raises(CmsError, match="not made for signatures"):
        verify(forged, trust)
