"""Signers known by now are verified as strictly as at first sight; revoked ones are refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.emt.signed import cms_verifier
from clsbench.pki import authority, crl, operations
from clsbench.pki.crl import Revoked
from clsbench.pki.layout import Pki
from clsbench.roleconfig import PkiDir
from clsbench.smgw.core import cms_signers
from clsbench.smgw.core.cms import CmsError, Untrusted, sign, verify
from clsbench.smgw.core.cms_signers import Verifier

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


def signed(pki: Pki, content: bytes = b"{}", at: datetime = NOW, by=None) -> bytes:
    identity = by or pki.smgw.sig
    return sign(content, identity.cert.read_bytes(), identity.key.read_bytes(), at)


@pytest.fixture
def verifier(pki: Pki) -> Verifier:
    made = Verifier(pki.wan_trust.read_bytes(), "SMGW")
    made.verify(signed(pki))
    return made


def test_a_known_signer_is_verified_without_the_way_to_the_root(pki, verifier, monkeypatch):
    def refuse(*_arguments):
        raise AssertionError("was known")

    wanted = verify(signed(pki, b"again"), pki.wan_trust.read_bytes(), "SMGW")
    monkeypatch.setattr(cms_signers, "verify", refuse)
    assert verifier.verify(signed(pki, b"again")) == wanted
    for moment in (NOW - HOUR / 60, NOW + 24 * HOUR):
        assert verifier.verify(signed(pki, at=moment)).signing_time == moment


@pytest.fixture(scope="module")
def message(pki: Pki) -> bytes:
    return signed(pki)


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10_000), mask=st.integers(1, 255))
def test_what_is_altered_is_refused_with_the_reason_of_the_first_sight(pki, message, place, mask):
    trust = pki.wan_trust.read_bytes()
    known = Verifier(trust, "SMGW")
    known.verify(message)
    broken = bytearray(message)
    broken[place % len(message)] ^= mask
    with pytest.raises(CmsError) as here:
        known.verify(bytes(broken))
    with pytest.raises(CmsError) as there:
        verify(bytes(broken), trust, "SMGW")
    assert str(here.value) == str(there.value)


def test_a_known_signer_is_refused_outside_the_time_of_its_certificate(pki, verifier):
    for moment in (NOW - 20 * 365 * 24 * HOUR, NOW + 20 * 365 * 24 * HOUR):
        with pytest.raises(Untrusted, match="valid|expired"):
            verifier.verify(signed(pki, at=moment))


def test_another_role_is_refused_however_often_it_comes(pki, verifier):
    for _ in range(2):
        with pytest.raises(Untrusted, match="role is not SMGW"):
            verifier.verify(signed(pki, by=pki.emt("flexmarkt").sig))


def test_only_so_many_signers_are_kept(pki, verifier, monkeypatch):
    monkeypatch.setattr(cms_signers, "MAX_SIGNERS", 0)
    verifier.verify(signed(pki, by=pki.smgw.sig))
    other = Verifier(pki.wan_trust.read_bytes())
    other.verify(signed(pki))
    assert not other._signers


# revocation


@pytest.fixture
def own(tmp_path) -> Pki:
    return Pki.init(tmp_path / "pki")


def lists_with(pki: Pki, at: datetime, issuer: int = 0):
    """New lists of both authorities; on that of `issuer`, the gateway or the sub-CA, from `at`."""
    sub, root = pki.wan_authorities()
    span = authority.Validity(NOW - 24 * HOUR, NOW + 30 * 24 * HOUR)
    gone = verify(signed(pki), pki.wan_trust.read_bytes()).certificate
    revoked = [Revoked((gone, sub.certificate)[issuer].serial_number, at, "key-compromise")]
    return [
        crl.new_list(each, revoked if number == issuer else [], span, 9)
        for number, each in enumerate((sub, root))
    ]


@pytest.mark.parametrize("issuer", [0, 1])
def test_a_signature_counts_when_it_was_made_before_the_revocation(own, issuer):
    lists = lists_with(own, NOW, issuer)
    verifier = Verifier(own.wan_trust.read_bytes(), "SMGW", lambda: lists)
    for _ in range(2):
        assert verifier.verify(signed(own, at=NOW - timedelta(seconds=1))).content == b"{}"
        for moment in (NOW, NOW + HOUR):
            with pytest.raises(Untrusted, match="was revoked on"):
                verifier.verify(signed(own, at=moment))


def test_lists_that_end_or_are_missing_say_nothing_good(own):
    lists = crl.read_lists(own.wan_crl.read_bytes())
    verifier = Verifier(own.wan_trust.read_bytes(), "SMGW", lambda: lists)
    assert verifier.verify(signed(own))
    with pytest.raises(Untrusted, match="had expired"):
        verifier.verify(signed(own, at=NOW + 40 * 24 * HOUR))
    lists = lists[:1]
    with pytest.raises(Untrusted, match="no revocation list"):
        verifier.verify(signed(own))


def test_the_emt_follows_the_file_of_its_lists(own):
    check = cms_verifier(PkiDir(dir=own.directory))
    assert check(signed(own))[1] == "ETST0010000001"
    operations.revoke(own, "smgw", "key-compromise")
    later = signed(own, at=datetime.now(UTC) + HOUR)
    with pytest.raises(Untrusted, match="was revoked on"):
        check(later)
    own.wan_crl.write_bytes(b"damaged")
    with pytest.raises(Untrusted, match="was revoked on"):
        check(later)
    assert cms_verifier(PkiDir(dir=own.directory, crl="off"))(later)
