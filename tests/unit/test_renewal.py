"""A gateway's triplet renewed: what it asks, who certifies, what it takes, what a kill leaves."""

import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.content_party import ContentParty
from clsbench.errors import BadInput, PeerRefused
from clsbench.gwa.config import GwaConfig
from clsbench.gwa.renewal import Renewals, serial_numbers
from clsbench.pki import authority, files, operations, staging
from clsbench.pki.layout import Pki
from clsbench.pki.names import ENC, PURPOSES, SIG, TLS
from clsbench.pki.requests import BadRequest, certify, new_requests, read_requests
from clsbench.smgw.core import cms
from clsbench.smgw.wan.certificates import CertificateRenewal, NothingAsked

SMGW = "ETST0010000001"
CN = f"{SMGW}.SMGW"
CURVES = {"brainpoolP256r1"}
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Pki:
    return Pki.init(tmp_path_factory.mktemp("pki") / "pki", SMGW)


@pytest.fixture
def apart(whole, tmp_path) -> tuple[Path, Path]:
    """(the gateway's folder without any authority's key, the GWA's without the gateway's keys)."""
    gateway, gwa = tmp_path / "at-gateway", tmp_path / "at-gwa"
    for folder in (gateway, gwa):
        shutil.copytree(whole.directory, folder)
    for name in ("root.key.pem", "sub.key.pem", "han/ca.key.pem"):
        (gateway / name).unlink()
    for path in (gwa / "smgw").glob("*.key.pem"):
        path.unlink()
    return gateway, gwa


def now() -> datetime:
    return datetime.now(UTC)


def gateway_of(folder: Path) -> CertificateRenewal:
    return CertificateRenewal(folder / "smgw", folder / "wan-trust.pem", SMGW)


def renewals(folder: Path, **entry) -> Renewals:
    config = {"gwa": {"name": "gwa-test", "state_dir": "x"}, "pki": {"dir": str(folder)}}
    return Renewals(GwaConfig.model_validate(config | {"smgw": [{"id": SMGW, **entry}]}))


def texts(issued: dict[str, bytes]) -> dict[str, str]:
    return {purpose: pem.decode() for purpose, pem in issued.items()}


def new_keys(curve=ec.BrainpoolP256R1) -> dict[str, ec.EllipticCurvePrivateKey]:
    return {purpose: ec.generate_private_key(curve()) for purpose in PURPOSES}


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def is_whole_triplet(folder: Path) -> bool:
    pairs = [(folder / f"{p}.crt.pem", folder / f"{p}.key.pem") for p in PURPOSES]
    return all(
        files.read_certificate(cert).public_key() == files.read_key(key).public_key()
        for cert, key in pairs
    )


def openssl(*words: str, given: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *words], input=given, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout + done.stderr


def test_keys_stay_and_requests_travel_between_separate_folders(apart):
    gateway, gwa = apart
    before = content_of(gateway / "smgw")
    at_gateway, at_gwa = gateway_of(gateway), renewals(gwa)
    package = at_gateway.requests(now())
    assert content_of(gateway / "smgw") == before  # nothing is changed by asking
    assert b"PRIVATE" not in package
    issued = at_gwa.issue(SMGW, package)
    taken = at_gateway.take(texts(issued), now())
    at_gwa.keep(SMGW, issued)
    after = content_of(gateway / "smgw")
    assert after.keys() == before.keys() and all(after[name] != before[name] for name in before)
    assert is_whole_triplet(gateway / "smgw")
    assert {each.file.split(".")[0]: f"{each.now:x}" for each in taken} == serial_numbers(issued)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in gateway.glob("smgw/*.key.pem"))
    assert not list(gwa.glob("smgw/*.key.pem"))
    for purpose in PURPOSES:
        assert (gwa / f"smgw/{purpose}.crt.pem").read_bytes() == after[f"{purpose}.crt.pem"]
    # and once more, signed by the key that is in force now
    again = at_gwa.issue(SMGW, at_gateway.requests(now()))
    assert len(at_gateway.take(texts(again), now())) == 3


def test_openssl_finds_every_signature_good(apart, tmp_path):
    package = gateway_of(apart[0]).requests(now())
    (tmp_path / "package").write_bytes(package)
    trust = str(apart[0] / "wan-trust.pem")
    words = ("-inform", "DER", "-in", str(tmp_path / "package"), "-CAfile", trust)
    pem = openssl("cms", "-verify", "-binary", "-purpose", "any", *words)
    begin = b"-----BEGIN CERTIFICATE REQUEST-----"
    requests = [begin + part for part in pem.split(begin)[1:]]
    assert len(requests) == 3
    for each in requests:
        told = openssl("req", "-verify", "-noout", "-subject", given=each)
        assert b"verify OK" in told and CN.encode() in told
        told = openssl("req", "-noout", "-text", given=each)
        assert b"ASN1 OID: brainpoolP256r1" in told and b"ecdsa-with-SHA256" in told
    issued = renewals(apart[1]).issue(SMGW, package)
    for pem in issued.values():
        assert b"OK" in openssl("verify", "-CAfile", trust, given=pem)
        told = openssl("x509", "-noout", "-text", given=pem)
        assert b"ASN1 OID: brainpoolP256r1" in told and told.count(b"ecdsa-with-SHA384") == 2


def test_what_is_kept_of_a_gateway_is_what_messages_are_enveloped_for(apart, tmp_path):
    gateway, gwa = apart
    kept = tmp_path / "of-gateway.pem"
    shutil.copy(gwa / "smgw" / "enc.crt.pem", kept)
    at_gateway, at_gwa = gateway_of(gateway), renewals(gwa, enc_certificate=str(kept))
    running = ContentParty(gateway / "smgw", gateway / "wan-trust.pem")
    administrator = ContentParty(gwa / "gwa", gwa / "wan-trust.pem")
    under_way = administrator.protect(b"before", kept, now())
    issued = at_gwa.issue(SMGW, at_gateway.requests(now()))
    at_gateway.take(texts(issued), now())
    at_gwa.keep(SMGW, issued)
    assert kept.read_bytes() == issued[ENC] == (gwa / "smgw" / "enc.crt.pem").read_bytes()
    message = administrator.protect(b"after", kept, now())
    assert running.open(message, "GWA").content == b"after"
    assert running.open(under_way, "GWA").content == b"before"


def without_proof(keys) -> bytes:
    """Requests of which one is signed by a key that is not its own."""
    pem = new_requests(CN, keys)
    request = x509.load_pem_x509_csr(pem)
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    begin = b"-----BEGIN CERTIFICATE REQUEST-----"
    others = pem.split(begin)[2:]
    broken = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    return broken + b"".join(begin + each for each in others)


def asking_for_a_name(keys) -> bytes:
    """Requests of which one asks for a server name beside its own."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(authority.name_of(CN))
    for value, critical in authority.end_extensions(TLS, "gwa-test.gwa"):
        builder = builder.add_extension(value, critical)
    other = builder.sign(keys[TLS], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    begin = b"-----BEGIN CERTIFICATE REQUEST-----"
    return other + b"".join(begin + part for part in new_requests(CN, keys).split(begin)[2:])


def asking_for_more(keys) -> bytes:
    """Requests of which one asks to be an authority."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(authority.name_of(CN))
    for value, critical in authority.end_extensions(SIG):
        authority_too = isinstance(value, x509.BasicConstraints)
        value = x509.BasicConstraints(True, 0) if authority_too else value
        builder = builder.add_extension(value, critical)
    greedy = builder.sign(keys[SIG], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    begin = b"-----BEGIN CERTIFICATE REQUEST-----"
    tls, enc, _ = new_requests(CN, keys).split(begin)[1:]
    return begin + tls + begin + enc + greedy


def same_key_twice(keys) -> bytes:
    return new_requests(CN, {**keys, ENC: keys[SIG]})


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda keys: b"", "not one request for each"),
        (lambda keys: new_requests(CN, keys)[:-60], "cannot be read"),
        (lambda keys: new_requests(CN, keys) * 2, "not one request for each"),
        (lambda keys: b"x" * 20_000, "at most 16384"),
        (lambda keys: new_requests("ETST0010000002.SMGW", keys), "for CN=ETST0010000002.SMGW"),
        (lambda keys: new_requests(CN, new_keys(ec.SECP256R1)), "not on brainpoolP256r1"),
        (lambda keys: new_requests(CN, new_keys(ec.BrainpoolP384R1)), "not on brainpoolP256r1"),
        (without_proof, "not signed by the key it asks for"),
        (same_key_twice, "its key is not new"),
        (asking_for_more, "not one request for each"),
        (asking_for_a_name, "other extensions"),
    ],
)
def test_what_may_not_be_asked_for_is_refused_with_its_reason(made, reason):
    with pytest.raises(BadRequest, match=reason):
        read_requests(made(new_keys()), CN, CURVES)


def signed(folder: Path, content: bytes, purpose: str = SIG, at: datetime | None = None) -> bytes:
    pair = [(folder / f"{purpose}.{kind}.pem").read_bytes() for kind in ("crt", "key")]
    return cms.sign(content, *pair, at or now())


def test_only_the_gateways_own_signature_key_in_force_speaks_for_new_keys(apart, whole, tmp_path):
    gwa = renewals(apart[1])
    good = new_requests(CN, new_keys())
    whole.issue_wan_to(tmp_path / "other", "ETST0010000002.SMGW", SIG)
    Pki.init(tmp_path / "foreign", SMGW)
    altered = bytearray(signed(whole.directory / "smgw", good))
    altered[altered.index(b"MII") + 20] ^= 1
    for package, reason in (
        (b"", "certificate requests"),
        (signed(tmp_path / "other", good), "signed by ETST0010000002.SMGW"),
        (signed(whole.directory / "gwa", good), "role is not SMGW"),
        (signed(tmp_path / "foreign" / "smgw", good), "unknown CA"),
        (bytes(altered), "altered"),
        (signed(whole.directory / "smgw", good, at=now() - timedelta(hours=2)), "not just now"),
    ):
        with pytest.raises(PeerRefused, match=reason):
            gwa.issue(SMGW, package)
    assert set(gwa.issue(SMGW, signed(whole.directory / "smgw", good))) == set(PURPOSES)


def test_old_keys_are_not_certified_anew_and_a_revoked_one_speaks_for_none(apart):
    gateway, gwa = apart
    old = {p: files.read_key(gateway / "smgw" / f"{p}.key.pem") for p in PURPOSES}
    package = signed(gateway / "smgw", new_requests(CN, old))
    with pytest.raises(PeerRefused, match="its key is not new"):
        renewals(gwa).issue(SMGW, package)
    package = gateway_of(gateway).requests(now())
    operations.revoke(Pki.open(gwa), str(gwa / "smgw" / "sig.crt.pem"))
    with pytest.raises(PeerRefused, match="was revoked"):
        renewals(gwa).issue(SMGW, package)


def test_without_the_sub_ca_nothing_is_certified(apart):
    (apart[1] / "sub.key.pem").unlink()
    with pytest.raises(BadInput, match="cannot issue certificates"):
        renewals(apart[1]).issue(SMGW, gateway_of(apart[0]).requests(now()))


def certified(package: bytes, folder: Path, cn: str = CN, span=None, by=None) -> dict[str, str]:
    """What an administrator without judgement would bring."""
    content = cms.verify(package, (folder / "wan-trust.pem").read_bytes()).content
    span = span or authority.validity(2)
    found = read_requests(content, CN, CURVES)
    return texts(certify(found, cn, span, by or Pki.open(folder).wan_authorities()[0]))


def test_a_gateway_takes_nothing_that_does_not_fit(apart, tmp_path):
    gateway, gwa = apart
    folder = gateway / "smgw"
    mine, before = gateway_of(gateway), content_of(folder)
    with pytest.raises(NothingAsked, match="ask for them anew"):
        mine.take({}, now())
    package = mine.requests(now())
    good = certified(package, gwa)
    foreign = Pki.init(tmp_path / "foreign", SMGW).wan_authorities()[0]
    past = authority.Validity(now() - timedelta(days=9), now() - timedelta(days=1))
    others = certified(gateway_of(gateway).requests(now()), gwa)
    long = authority.Validity(now() - timedelta(days=1), now() + timedelta(days=1000))
    for wrong, reason in (
        ({p: good[p] for p in (TLS, SIG)}, "all three"),
        (good | {SIG: others[SIG]}, "not for the key that was requested"),
        (good | {SIG: good[ENC]}, "not for the key that was requested"),
        (good | {TLS: "x"}, "certificate for tls"),
        (good | {TLS: "ü"}, "certificate for tls"),
        (certified(package, gwa, cn="ETST0010000002.SMGW"), "not of ETST0010000001.SMGW"),
        (certified(package, gwa, by=foreign), "unknown CA"),
        (certified(package, gwa, span=past), "had expired"),
        (certified(package, gwa, span=long), "days are allowed|731 are allowed|lives"),
    ):
        with pytest.raises(BadInput, match=reason):
            mine.take(wrong, now())
        assert content_of(folder) == before
    mine.take(good, now())
    with pytest.raises(NothingAsked):
        mine.take(good, now())
    assert is_whole_triplet(folder)


STEPS = ("open", "fsync", "replace", "rename", "mkdir", "rmdir", "unlink", "fchmod", "chmod")


def killed_at(step: int, act) -> bool:
    """Runs `act` in a process that is killed before its file-system call number `step`; True when
    it came to its end before that."""
    child = os.fork()
    if child == 0:
        left = step

        def counting(original):
            def call(*args, **more):
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*args, **more)

            return call

        try:
            for name in STEPS:
                setattr(os, name, counting(getattr(os, name)))
            act()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status)


def test_a_kill_at_any_step_leaves_one_whole_triplet(apart, tmp_path):
    gateway, gwa = apart
    folder, kept = gateway / "smgw", tmp_path / "kept"
    mine = gateway_of(gateway)
    good = certified(mine.requests(now()), gwa)
    shutil.copytree(folder, kept)
    before, outcomes, step, ended = content_of(folder), [], 0, False
    while not ended:
        ended = killed_at(step, lambda: mine.take(good, now()))
        staging.recover(folder)
        found = content_of(folder)
        assert found.keys() == before.keys() and is_whole_triplet(folder), step
        changed = {name for name in found if found[name] != before[name]}
        assert changed in (set(), set(before)), step
        outcomes.append(bool(changed))
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        step += 1
    assert outcomes == sorted(outcomes)  # old until the new was whole, new from then on
    assert outcomes.count(False) > 20 and outcomes.count(True) > 6
