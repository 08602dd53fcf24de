"""The test SM-PKI on disk: what is made, who may read it, and that it is not lost by accident."""

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clsbench.cli.pki import pki as pki_command
from clsbench.errors import BadInput, EnvironmentProblem, PeerRefused
from clsbench.net.tls import Identity
from clsbench.pki import crl, files, names, operations
from clsbench.pki.authority import ORGANISATION, Validity
from clsbench.pki.chain import ChainError, check_chain, load_trust
from clsbench.pki.layout import Pki
from clsbench.pki.names import ENC, SIG, TLS

NOW = datetime.now(UTC)
CLS_ID = "ETST0020000017"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    directory = tmp_path_factory.mktemp("pki") / "pki"
    return Pki.init(directory, emt_names=["flexmarkt", "other"])


def certificate(path: Path) -> x509.Certificate:
    return files.read_certificate(path)


def extension(found: x509.Certificate, kind):
    return found.extensions.get_extension_for_class(kind)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_file_of_the_layout_is_there_and_no_other(pki: Pki):
    parties = ("gwa", "smgw", "emt-flexmarkt", "emt-other")
    expected = {
        f"{party}/{purpose}.{kind}.pem"
        for party in parties
        for purpose in ("tls", "enc", "sig")
        for kind in ("crt", "key")
    }
    expected |= {f"{ca}.{kind}.pem" for ca in ("root", "sub") for kind in ("crt", "key")}
    expected |= {"wan-trust.pem", "wan-crl.pem", "han/crl.pem"}
    expected |= {"han/ca.crt.pem", "han/ca.crt.der", "han/ca.key.pem"}
    expected |= {"han/smgw.crt.pem", "han/smgw.key.pem"}
    expected |= {f"cls-{CLS_ID}/cls.{a}.{b}" for a in ("crt", "key") for b in ("pem", "der")}
    found = {str(p.relative_to(pki.directory)) for p in pki.directory.rglob("*") if p.is_file()}
    assert found == expected


def test_keys_and_directories_are_for_the_owner_alone_whatever_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        made = Pki.init(tmp_path / "open")
    finally:
        os.umask(before)
    everything = [made.directory, *made.directory.rglob("*")]
    assert {mode(path) for path in everything if path.is_dir()} == {0o700}
    keys = [path for path in everything if ".key." in path.name]
    assert len(keys) == 9 + 2 + 2 + 2 and {mode(path) for path in keys} == {0o600}


def test_existing_pki_is_not_overwritten_unless_told(tmp_path: Path):
    directory = tmp_path / "pki"
    first = certificate(Pki.init(directory).root_cert)
    with pytest.raises(BadInput, match="holds a PKI already"):
        Pki.init(directory)
    assert certificate(directory / "root.crt.pem") == first
    Pki.init(directory, emt_names=["new"], overwrite=True)
    assert certificate(directory / "root.crt.pem") != first
    assert Pki.open(directory).emt_names == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["pki"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_directory_with_other_things_is_never_touched(tmp_path: Path, overwrite: bool):
    (tmp_path / "thesis.tex").write_text("ten years of work")
    with pytest.raises(BadInput, match=r"holds 'thesis\.tex', which no PKI has"):
        Pki.init(tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_failure_on_the_way_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(BadInput, match="no dot"):
        Pki.init(tmp_path / "pki", emt_names=["good", "../evil"])
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_is_an_environment_problem(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match="cannot write a PKI there"):
        Pki.init(tmp_path / "file" / "pki")


def test_empty_existing_directory_is_taken(tmp_path: Path):
    Pki.init(tmp_path)
    assert mode(tmp_path) == 0o700 and Pki.open(tmp_path).cls_ids == [CLS_ID]


@pytest.mark.parametrize(
    "wrong", ["etst0010000001", "ETST001000000", "../../etc/pass", "E.ST0010000001"]
)
def test_wrong_device_id_is_named(tmp_path: Path, wrong: str):
    with pytest.raises(BadInput, match="expected 14 characters"):
        Pki.init(tmp_path / "pki", smgw_id=wrong)


def test_common_names_carry_the_role_and_organisation_marks_the_test(pki: Pki):
    expected = {
        pki.gwa.tls.cert: "gwa-test.GWA",
        pki.smgw.sig.cert: "ETST0010000001.SMGW",
        pki.emt("other").enc.cert: "other.EMT",
        pki.smgw_han.cert: "etst0010000001.smgw",
        pki.cls(CLS_ID).cert: "etst0020000017.cls",
    }
    for path, cn in expected.items():
        found = certificate(path)
        assert names.cn_of(found) == cn
        organisation = found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert [each.value for each in organisation] == [ORGANISATION]


def form(path: Path) -> tuple[str, str]:
    """Curve of a certificate's key, hash under its issuer's signature."""
    found = certificate(path)
    key, hashed = found.public_key(), found.signature_hash_algorithm
    assert isinstance(key, ec.EllipticCurvePublicKey) and hashed is not None
    return key.curve.name, hashed.name


def test_wan_is_on_brainpool_by_rank_and_han_on_p256(pki: Pki):
    expected = {
        pki.root_cert: ("brainpoolP512r1", "sha512"),
        pki.sub_cert: ("brainpoolP384r1", "sha512"),  # signed by the root
    }
    for path in pki.certificates():
        han = path.parent.name == "han" or path.parent.name.startswith("cls-")
        end = ("secp256r1", "sha256") if han else ("brainpoolP256r1", "sha384")
        assert form(path) == expected.get(path, end)


def test_what_is_issued_later_and_lists_have_the_same_form(tmp_path: Path):
    made = Pki.init(tmp_path / "pki")
    operations.renew(made, "smgw")
    operations.revoke(made, "emt-flexmarkt")
    paths = [made.smgw.tls.cert, made.smgw.sig.cert, made.issue_emt("late").enc.cert]
    paths.append(made.issue_wan_to(tmp_path / "x", "any.EMT").cert)
    assert {form(path) for path in paths} == {("brainpoolP256r1", "sha384")}
    lists = crl.read_lists(made.wan_crl.read_bytes() + made.han_crl.read_bytes())
    hashed = [each.signature_hash_algorithm for each in lists]
    assert [each and each.name for each in hashed] == ["sha384", "sha512", "sha256"]


def test_key_usage_separates_tls_encryption_and_signature(pki: Pki):
    for purpose, identity in ((TLS, pki.smgw.tls), (ENC, pki.smgw.enc), (SIG, pki.smgw.sig)):
        found = certificate(identity.cert)
        usage = extension(found, x509.KeyUsage)
        assert usage.critical
        assert usage.value.digital_signature is (purpose != ENC)
        assert usage.value.key_agreement is (purpose == ENC)
        assert not usage.value.key_cert_sign and not usage.value.key_encipherment
        assert names.purpose_of(found) == purpose


def test_only_tls_certificates_carry_extended_key_usage_and_name(pki: Pki):
    usages = extension(certificate(pki.cls(CLS_ID).cert), x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    san = extension(certificate(pki.smgw_han.cert), x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == ["etst0010000001.sm"]
    for identity in (pki.smgw.enc, pki.smgw.sig):
        for kind in (x509.ExtendedKeyUsage, x509.SubjectAlternativeName):
            with pytest.raises(x509.ExtensionNotFound):
                extension(certificate(identity.cert), kind)


def test_authorities_are_limited_to_their_depth(pki: Pki):
    for path, depth in ((pki.root_cert, 1), (pki.sub_cert, 0), (pki.han_trust, 0)):
        constraints = extension(certificate(path), x509.BasicConstraints)
        assert constraints.critical and constraints.value.ca
        assert constraints.value.path_length == depth


def test_every_certificate_points_to_its_issuer_and_serials_are_random(pki: Pki):
    found = [certificate(path) for path in pki.certificates()]
    ids = {extension(each, x509.SubjectKeyIdentifier).value.digest for each in found}
    for each in found:
        assert extension(each, x509.AuthorityKeyIdentifier).value.key_identifier in ids
    assert len({each.serial_number for each in found}) == len(found)
    assert all(each.serial_number.bit_length() > 64 for each in found)


def test_life_times(pki: Pki):
    for path, years in ((pki.root_cert, 8), (pki.sub_cert, 5), (pki.gwa.tls.cert, 2)):
        found = certificate(path)
        span = found.not_valid_after_utc - found.not_valid_before_utc
        assert span == timedelta(days=365 * years + 1)
        since_made = datetime.now(UTC) - (found.not_valid_before_utc + timedelta(days=1))
        assert timedelta(0) <= since_made < timedelta(hours=12)  # back-dated a day


def test_wan_certificate_files_hold_own_and_sub(pki: Pki):
    chain = x509.load_pem_x509_certificates(pki.gwa.tls.cert.read_bytes())
    assert chain[1:] == [certificate(pki.sub_cert)]
    trust = x509.load_pem_x509_certificates(pki.wan_trust.read_bytes())
    assert trust == [certificate(pki.sub_cert), certificate(pki.root_cert)]


def test_der_files_for_the_board_are_the_pem_ones_and_small(pki: Pki):
    found = pki.cls_files(CLS_ID)
    der = found.cert_der.read_bytes()
    assert x509.load_der_x509_certificate(der) == certificate(found.identity.cert)
    assert len(der) <= 600  # DS2.0: recommended limit for device certificates
    key = load_der_private_key(found.key_der.read_bytes(), None)
    assert key.public_key() == certificate(found.identity.cert).public_key()


def test_open_finds_what_init_made(pki: Pki):
    found = Pki.open(pki.directory)
    assert (found.smgw_id, found.gwa_name) == ("ETST0010000001", "gwa-test")
    assert (found.emt_names, found.cls_ids) == (["flexmarkt", "other"], [CLS_ID])
    assert found.gwa.tls == Identity(
        pki.directory / "gwa" / "tls.crt.pem", pki.directory / "gwa" / "tls.key.pem"
    )


def test_open_names_the_missing_or_wrong_file(tmp_path: Path):
    with pytest.raises(BadInput, match=r"smgw/tls\.crt\.pem: no such file.*pki init"):
        Pki.open(tmp_path)
    made = Pki.init(tmp_path / "pki")
    made.smgw.tls.cert.write_bytes(made.gwa.tls.cert.read_bytes())
    with pytest.raises(BadInput, match="has role GWA, expected SMGW"):
        Pki.open(made.directory)
    made.smgw.tls.cert.write_text("no certificate")
    with pytest.raises(BadInput, match=r"smgw/tls\.crt\.pem: not a certificate of the PKI"):
        Pki.open(made.directory)


def test_unknown_party_is_named_with_the_way_to_make_it(pki: Pki):
    with pytest.raises(BadInput, match="no certificate for 'nobody'.*--emt nobody"):
        pki.emt("nobody")
    with pytest.raises(BadInput, match="no certificate for 'ETST0020000099'"):
        pki.cls("ETST0020000099")


def test_later_issued_parties_join_the_same_trust(tmp_path: Path):
    Pki.init(tmp_path / "pki", emt_names=[], cls_ids=[])
    found = Pki.open(tmp_path / "pki")
    check_chain(
        certificate(found.issue_emt("late").tls.cert),
        load_trust(found.wan_trust.read_bytes()),
        NOW,
    )
    device = found.issue_cls("ETST0020000099")
    check_chain(certificate(device.identity.cert), load_trust(found.han_trust.read_bytes()), NOW)
    assert (found.emt_names, found.cls_ids) == (["late"], ["ETST0020000099"])
    with pytest.raises(BadInput, match="exists already"):
        found.issue_emt("late")


def test_chosen_span_and_role_can_be_issued_for_refusal_tests(pki: Pki, tmp_path: Path):
    span = Validity(NOW - timedelta(hours=2), NOW - timedelta(hours=1))
    identity = pki.issue_wan_to(tmp_path / "x", "anyone.CLS", SIG, span)
    found = certificate(identity.cert)
    assert (names.cn_of(found), names.purpose_of(found)) == ("anyone.CLS", SIG)
    assert found.not_valid_after_utc == span.end.replace(microsecond=0)
    with pytest.raises(ChainError, match="had expired"):
        check_chain(found, load_trust(pki.wan_trust.read_bytes()), NOW)


def test_certificates_can_hold_from_an_earlier_bench_time_on(tmp_path: Path):
    start = NOW - timedelta(days=200)
    made = Pki.init(tmp_path / "pki", start=start)
    for at in (start, NOW + timedelta(days=500)):  # two years, as the rules have it
        check_chain(certificate(made.smgw.sig.cert), load_trust(made.wan_trust.read_bytes()), at)


def test_chain_is_refused_at_every_broken_link(pki: Pki, tmp_path: Path):
    leaf = certificate(pki.smgw.sig.cert)
    sub, root = pki.sub_cert.read_bytes(), pki.root_cert.read_bytes()
    check_chain(leaf, load_trust(root + sub), NOW)
    with pytest.raises(ChainError, match="unknown CA: no trusted authority issued .*Sub"):
        check_chain(leaf, load_trust(sub), NOW)
    with pytest.raises(ChainError, match="unknown CA: no trusted authority issued .*SMGW"):
        check_chain(leaf, load_trust(root), NOW)
    with pytest.raises(ChainError, match="was not yet valid"):
        check_chain(leaf, load_trust(root + sub), NOW - timedelta(days=30))
    other = Pki.init(tmp_path / "other")
    with pytest.raises(ChainError, match="unknown CA"):
        check_chain(leaf, load_trust(other.wan_trust.read_bytes()), NOW)


def test_end_user_cannot_act_as_authority(pki: Pki):
    """Signed correctly by the SMGW's key, yet the SMGW is no CA."""
    smgw = certificate(pki.smgw.sig.cert)
    key = files.read_key(pki.smgw.sig.key)
    from_smgw = certificate_signed_by(smgw.subject, key)
    trust = pki.smgw.sig.cert.read_bytes() + pki.wan_trust.read_bytes()
    with pytest.raises(ChainError, match=r"ETST0010000001\.SMGW.* is no CA"):
        check_chain(from_smgw, load_trust(trust), NOW)


def certificate_signed_by(issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged.GWA")]))
        .issuer_name(issuer)
        .public_key(ec.generate_private_key(ec.BrainpoolP256R1()).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )


@pytest.mark.parametrize(
    ("cn", "expected"),
    [
        ("gwa-test.GWA", ("gwa-test", "GWA")),
        ("etst0020000017.cls", ("ETST0020000017", "CLS")),
        ("ETST0010000001.SMGW", ("ETST0010000001", "SMGW")),
        ("etst0010000001.smgw", ("ETST0010000001", "SMGW")),
        ("a.b.EMT", ("a.b", "EMT")),
    ],
)
def test_role_stands_behind_the_last_dot(cn: str, expected: tuple[str, str]):
    assert names.split_cn(cn) == expected


@pytest.mark.parametrize("cn", ["", ".GWA", "GWA", "x.gwa.example", "x.ROOT", "x.GWA "])
def test_common_name_without_role_is_refused(cn: str):
    with pytest.raises(PeerRefused, match="names no role"):
        names.split_cn(cn)


def test_command_init_and_show(tmp_path: Path):
    runner = CliRunner()
    out = str(tmp_path / "pki")
    made = runner.invoke(pki_command, ["init", "--out", out, "--emt", "a", "--emt", "b", "--json"])
    assert made.exit_code == 0
    document = json.loads(made.stdout)
    rows = {(row["role"], row["purpose"], row["cn"]): row for row in document["certificates"]}
    assert rows["EMT", "sig", "b.EMT"]["curve"] == "brainpoolP256r1"
    assert rows["CLS", "tls", "etst0020000017.cls"]["state"] == "valid"
    shown = runner.invoke(pki_command, ["show", out])
    lines = shown.stdout.splitlines()
    assert lines[0].split() == [
        *("role", "purpose", "cn", "curve", "signed", "valid", "until", "state", "fingerprint")
    ]
    assert len(lines) == 1 + len(rows) + 3  # revocation lists
    again = runner.invoke(pki_command, ["init", "--out", out])
    assert isinstance(again.exception, BadInput)


def test_command_show_ends_with_1_when_a_certificate_has_expired(tmp_path: Path):
    made = Pki.init(tmp_path / "pki", emt_names=[])
    past = Validity(NOW - timedelta(hours=2), NOW - timedelta(hours=1))
    made.issue_emt("late", past)
    shown = CliRunner().invoke(
        pki_command, ["show", str(made.directory), "--json"], standalone_mode=False
    )
    states = {row["cn"]: row["state"] for row in json.loads(shown.stdout)["certificates"]}
    assert states["late.EMT"] == "expired" and states["gwa-test.GWA"] == "valid"
    assert shown.return_value == 1


def test_no_private_key_is_printed(tmp_path: Path):
    out = CliRunner().invoke(pki_command, ["init", "--out", str(tmp_path / "pki")])
    assert "PRIVATE" not in out.output
