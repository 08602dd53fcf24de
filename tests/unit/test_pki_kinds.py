"""Kinds of certificates: whoever is of a kind that was judged is judged alike."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from tls_kit import open_to, running

from clsbench.net.tls import han_client, han_server
from clsbench.net.tls_policy import HAN_SECP256R1
from clsbench.pki import authority
from clsbench.pki.kinds import kind_of
from clsbench.pki.layout import Pki
from clsbench.pki.names import ENC, SIG, TLS, UNREADABLE, cn_of
from clsbench.pki.rules import check_certificate, check_purpose

SPAN = authority.validity(1)
CURVES = (*HAN_SECP256R1.key_curves, "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")


def made(ca: authority.Issued, cn: str = "x.cls", purpose: str = TLS, years: int = 1) -> bytes:
    issued = authority.new_end(cn, purpose, authority.validity(years), ca, "x.example")
    return issued.certificate.public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def ca() -> authority.Issued:
    return authority.new_ca("han.CA", authority.HAN_CURVE, authority.validity(30))


@pytest.fixture(scope="module")
def plain(ca) -> bytes:
    return made(ca)


def judged(der: bytes) -> str:
    """The common name of a certificate that the HAN takes. Raises what refuses it."""
    certificate = x509.load_der_x509_certificate(der)
    check_purpose(certificate)
    check_certificate(certificate, CURVES, HAN_SECP256R1.max_days, "HAN")
    return cn_of(certificate)


def test_certificates_of_one_authority_and_purpose_are_of_a_kind(ca):
    kinds = [kind_of(made(ca, cn)) for cn in ("etst0020000017.cls", "b.cls", "x-1.smgw")]
    assert [kind.cn for kind in kinds if kind] == ["etst0020000017.cls", "b.cls", "x-1.smgw"]
    assert len({kind.key for kind in kinds if kind}) == 1


def test_another_purpose_curve_or_authority_is_another_kind(ca):
    other = authority.new_ca("han.CA", authority.WAN_CURVE, authority.validity(30))
    ders = [made(ca), made(ca, purpose=SIG), made(ca, purpose=ENC), made(other)]
    keys = {kind.key for kind in map(kind_of, ders) if kind is not None}
    assert len(keys) == len(ders)


@pytest.mark.parametrize("cn", ["", "two words.cls", "ü.cls", "x" * 64 + ".cls", "a\n.cls"])
def test_an_odd_name_is_of_no_kind(ca, cn):
    try:
        der = made(ca, cn)
    except ValueError:
        return  # nor can such a certificate be made
    assert kind_of(der) is None


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_changed_byte_makes_another_kind_or_changes_no_verdict(ca):
    der = made(ca)
    own = kind_of(der)
    assert own is not None
    for at in range(len(der)):
        for change in (0x01, 0x02, 0x20, 0x80, 0xFF):
            changed = der[:at] + bytes((der[at] ^ change,)) + der[at + 1 :]
            kind = kind_of(changed)
            if kind is None or kind.key != own.key:
                continue
            try:
                certificate = x509.load_der_x509_certificate(changed)
                certificate.public_key()  # one with another key does not come through TLS
                life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
            except UNREADABLE:
                continue  # such a one is looked at in full
            if life.days <= HAN_SECP256R1.max_days:
                assert judged(changed) == kind.cn, (at, change)


@settings(max_examples=200, deadline=None)
@given(noise=st.binary(max_size=60), keep=st.integers(0, 600), drop=st.integers(0, 60))
def test_any_bytes_give_a_kind_or_none(plain, noise, keep, drop):
    kind = kind_of(plain[:keep] + noise + plain[keep + drop :])
    assert kind is None or kind.cn


async def test_one_of_a_known_kind_is_still_asked_for_its_life_and_its_name(pki: Pki, tmp_path):
    wrong = {
        "long": ("x.cls", authority.validity(3), "732 are allowed"),
        "nobody": ("x.example", SPAN, "names no role"),
    }
    async with running(han_server(pki.smgw_han, pki.han_trust), "CLS") as service:
        for folder, cn, span in (("a", "a.cls", SPAN), ("b", "b.cls", SPAN)):
            client = han_client(pki.issue_han_to(tmp_path / folder, cn, TLS, span), pki.han_trust)
            reader, writer = await open_to(service, client, "SMGW")
            assert await reader.readexactly(6) == b"hello "
            writer.close()
        assert [peer.name for peer in service.peers] == ["A", "B"]
        for folder, (cn, span, reason) in wrong.items():
            service.refusals.clear()
            service.refused_one.clear()
            client = han_client(pki.issue_han_to(tmp_path / folder, cn, TLS, span), pki.han_trust)
            reader, writer = await open_to(service, client, "SMGW")
            assert await reader.read() == b""
            assert reason in await service.refusal()
            writer.close()
