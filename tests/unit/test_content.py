"""Content security: what comes back, and that everything else is refused by name."""

import importlib.util
import sys
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clsbench.errors import BadInput
from clsbench.pki.layout import DEFAULT_EMT, Pki
from clsbench.smgw.core import cms
from clsbench.smgw.core import cms_der as der
from clsbench.smgw.core.cms import CmsError, Untrusted
from clsbench.smgw.core.cms_compressed import (
    MAX_CONTENT_BYTES,
    CompressedError,
    compress,
    decompress,
)
from clsbench.smgw.core.cms_envelope import (
    AUTH_ENVELOPED,
    CBC_CMAC,
    COMPRESSED,
    DATA,
    GCM,
    SUITES,
    EnvelopeError,
    seal,
    unseal,
)
from clsbench.smgw.core.cms_keys import OwnKey, Recipient
from clsbench.smgw.core.content import Signer, is_enveloped, make, open_content

NOW = datetime.now(UTC).replace(microsecond=0)
CONTENT = b'{"seq":7,"smgw_id":"ETST0010000001","type":"taf16"}'
TOOL = Path(__file__).resolve().parents[2] / "tools" / "cms_mutations.py"
SHORT = 1200  # altered messages in the short form; the tool's own run takes 10,000
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")


class Parties:
    """A gateway that signs and a market participant that reads."""

    def __init__(self, pki: Pki):
        self.trust = pki.wan_trust.read_bytes()
        sig, enc = pki.smgw.sig, pki.emt(DEFAULT_EMT).enc
        self.signer = Signer(sig.cert.read_bytes(), sig.key.read_bytes())
        self.recipient = Recipient.of(enc.cert.read_bytes())
        self.own = OwnKey.of(enc.cert.read_bytes(), enc.key.read_bytes())

    def make(self, content: bytes = CONTENT, at: datetime = NOW, **more) -> bytes:
        return make(content, self.signer, self.recipient, at, **more)

    def open(self, message: bytes, role: str = "SMGW", **more):
        return open_content(message, self.trust, [self.own], role, **more)


@pytest.fixture(scope="module")
def parties(pki: Pki) -> Parties:
    return Parties(pki)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("content", [b"", CONTENT, bytes(range(256)) * 300], ids=len)
def test_content_comes_back_with_signer_time_and_suites(parties, suite, compressed, content):
    found = parties.open(parties.make(content, suite=suite, compressed=compressed))
    assert found.content == content and found.signing_time == NOW
    assert (found.signer.name, found.signer.role) == ("ETST0010000001", "SMGW")
    assert found.suites == ("CMS_ECDSA_SHA256", suite, *(["CMS_ZLIB"] if compressed else []))


@pytest.mark.parametrize("suite", SUITES)
def test_nothing_of_the_content_is_to_be_seen_and_no_two_messages_share_keys(parties, suite):
    one, other = (parties.make(suite=suite, compressed=False) for _ in range(2))
    assert b"taf16" not in one and is_enveloped(one)
    envelopes = [cms.verify(m, parties.trust, None, AUTH_ENVELOPED).content for m in (one, other)]
    assert len({envelope[-200:-16] for envelope in envelopes}) == 2


def test_another_recipient_cannot_open(parties, pki):
    enc = pki.emt("andere").enc
    other = OwnKey.of(enc.cert.read_bytes(), enc.key.read_bytes())
    with pytest.raises(CmsError, match="another recipient"):
        open_content(parties.make(), parties.trust, [other], "SMGW")
    posing = OwnKey(parties.own.key_id, other.private_key)
    with pytest.raises(CmsError, match="made for another key"):
        open_content(parties.make(), parties.trust, [posing], "SMGW")


def test_an_older_key_still_opens_while_keys_are_renewed(parties, pki):
    enc = pki.emt("andere").enc
    newer = OwnKey.of(enc.cert.read_bytes(), enc.key.read_bytes())
    opened = open_content(parties.make(), parties.trust, [newer, parties.own], "SMGW")
    assert opened.content == CONTENT


def test_signer_of_another_role_and_of_another_pki_are_refused(parties, pki, tmp_path):
    with pytest.raises(Untrusted, match="role is not GWA"):
        parties.open(parties.make(), role="GWA")
    foreign = Pki.init(tmp_path / "pki").wan_trust.read_bytes()
    with pytest.raises(Untrusted, match="unknown CA"):
        open_content(parties.make(), foreign, [parties.own], "SMGW")


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_message_too_old_or_from_the_future_is_refused_where_a_clock_is_given(parties, minutes):
    message = parties.make()
    with pytest.raises(CmsError, match="too far from now"):
        parties.open(message, now=NOW + timedelta(minutes=minutes))
    assert parties.open(message, now=NOW + timedelta(minutes=minutes / 2)).content == CONTENT


def test_plain_signed_content_is_no_envelope(parties):
    plain = cms.sign(CONTENT, parties.signer.cert_pem, parties.signer.key_pem, NOW)
    assert not is_enveloped(plain)
    with pytest.raises(CmsError, match="content type is not"):
        parties.open(plain)
    with pytest.raises(CmsError, match="content type is not id-data"):
        cms.verify(parties.make(), parties.trust)


def test_detached_content_is_verified_beside_its_signature(parties):
    pair = (parties.signer.cert_pem, parties.signer.key_pem, NOW)
    signature = cms.sign(CONTENT, *pair, detached=True)
    assert CONTENT not in signature
    assert cms.verify(signature, parties.trust, detached=CONTENT).content == CONTENT
    for wrong in (CONTENT + b" ", b""):
        with pytest.raises(CmsError, match="altered"):
            cms.verify(signature, parties.trust, detached=wrong)
    with pytest.raises(CmsError, match="content is missing"):
        cms.verify(signature, parties.trust)
    with pytest.raises(CmsError, match="expected a detached"):
        cms.verify(cms.sign(CONTENT, *pair), parties.trust, detached=CONTENT)


def around(stream: bytes) -> bytes:
    """A CompressedData with any zlib stream."""
    version = der.integer(0)
    algorithm = der.tlv(der.SEQUENCE, der.oid("1.2.840.113549.1.9.16.3.8"))
    content = der.tlv(0xA0, der.tlv(der.OCTET_STRING, stream))
    info = der.tlv(der.SEQUENCE, der.oid(DATA), content)
    return der.tlv(der.SEQUENCE, version, algorithm, info)


def test_what_is_too_large_is_neither_made_nor_inflated(parties):
    with pytest.raises(BadInput, match="at most"):
        parties.make(bytes(MAX_CONTENT_BYTES + 1))
    assert len(parties.open(parties.make(bytes(MAX_CONTENT_BYTES))).content) == MAX_CONTENT_BYTES
    bomb = around(zlib.compress(bytes(64 * MAX_CONTENT_BYTES)))
    with pytest.raises(CompressedError, match="more than"):
        decompress(bomb)


@pytest.mark.parametrize("change", [lambda z: z[:-1], lambda z: z + b"x", lambda z: b"??" + z[2:]])
def test_damaged_compression_is_refused(change):
    assert decompress(around(zlib.compress(CONTENT))) == CONTENT
    with pytest.raises(CompressedError):
        decompress(around(change(zlib.compress(CONTENT))))


def rebuilt(envelope: bytes, at: int, element: bytes) -> bytes:
    """The envelope with its field number `at` replaced."""
    reader = der.Reader(envelope).inside(der.SEQUENCE, "")
    tags = (0x02, 0x31, 0x30, 0xA1, 0x04)
    fields = [reader.element(tag, "") for tag in tags if reader.next_is(tag)]
    fields[at] = element
    return der.tlv(der.SEQUENCE, *fields)


def test_each_field_of_the_profile_is_held_to(parties):
    envelope = seal(compress(CONTENT), COMPRESSED, parties.recipient, GCM)
    plain = seal(CONTENT, DATA, parties.recipient, GCM)
    cases = {
        "version is not 0": rebuilt(envelope, 0, der.integer(2)),
        "attributes do not fit": rebuilt(envelope, 3, b""),
        "code of 12 bytes": rebuilt(envelope, 4, der.tlv(4, bytes(12))),
        "its code does not hold": rebuilt(envelope, 4, der.tlv(4, bytes(16))),
    }
    for reason, altered in cases.items():
        with pytest.raises(EnvelopeError, match=reason):
            unseal(altered, [parties.own])
    for old, new, reason in (
        (der.oid(DATA), der.oid("1.2.840.113549.1.7.2"), "neither data nor compressed"),
        (bytes.fromhex("608648016503040106"), bytes.fromhex("60864801650304012e"), "neither AES"),
        (bytes.fromhex("034200" + "04"), bytes.fromhex("034200" + "02"), "uncompressed point"),
    ):
        assert plain.count(old) == 1
        with pytest.raises(EnvelopeError, match=reason):
            unseal(plain.replace(old, new), [parties.own])


def test_a_key_of_the_wrong_length_is_refused(parties):
    gcm = seal(CONTENT, DATA, parties.recipient, GCM)
    cbc = seal(CONTENT, DATA, parties.recipient, CBC_CMAC)
    fields = der.Reader(cbc).inside(der.SEQUENCE, "")
    fields.number("")
    with pytest.raises(EnvelopeError, match="length of its algorithm"):
        unseal(rebuilt(gcm, 1, fields.element(der.SET, "")), [parties.own])


def test_keys_that_are_not_for_encryption_are_refused(parties, pki):
    sig = pki.smgw.sig
    with pytest.raises(BadInput, match="not an encryption certificate"):
        Recipient.of(sig.cert.read_bytes())
    with pytest.raises(BadInput, match="does not belong"):
        OwnKey.of(pki.smgw.enc.cert.read_bytes(), pki.gwa.enc.key.read_bytes())
    with pytest.raises(BadInput, match="cannot be read"):
        OwnKey.of(pki.smgw.enc.cert.read_bytes(), b"no key")
    with pytest.raises(BadInput, match="cannot be read"):
        Recipient.of(b"")
    with pytest.raises(BadInput, match="is not known"):
        parties.make(suite="CMS_NONE")


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x80\x00\x00", b"\x30\x81\x05" + bytes(5), b"\x30\x85" + bytes(9)]
)
def test_only_the_shortest_definite_form_is_read(data):
    with pytest.raises(der.DerError):
        der.Reader(data).inside(der.SEQUENCE, "it").number("number")


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, 2**31])
def test_numbers_survive_and_only_in_their_shortest_form(value):
    element = der.integer(value)
    assert der.Reader(element).number("it") == value
    with pytest.raises(der.DerError):
        der.Reader(der.tlv(der.INTEGER, b"\x00" + element[2:])).number("it")


def test_altered_messages_are_refused_all_of_them(pki):
    spec = importlib.util.spec_from_file_location("cms_mutations", TOOL)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = tool
    spec.loader.exec_module(tool)
    figures = tool.run(pki, SHORT, seed=20_261_122)
    assert figures.opened == [] and figures.crashed == []
    assert sum(figures.refused.values()) == SHORT
    assert len(figures.refused) == 11 * len(tool.ALTERATIONS)
