"""Revoking, renewing, lists and what ends soon: in the folder of a PKI that is there."""

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

from clsbench.cli import doctor
from clsbench.cli.pki import pki as command
from clsbench.errors import BadInput
from clsbench.net.tls_context import Crl, Material
from clsbench.net.tls_policy import WAN
from clsbench.net.tls_probe import handshake_in_memory
from clsbench.pki import authority, crl, files, operations, staging, watch
from clsbench.pki.crl import Distrusted, check_revocation
from clsbench.pki.layout import Pki


def now() -> datetime:
    return datetime.now(UTC)


EMT = "emt-flexmarkt"


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki.init(tmp_path / "pki")


def lists(pki: Pki) -> list[x509.CertificateRevocationList]:
    return crl.read_lists(pki.wan_crl.read_bytes())


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, list(words), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value or 0, done.stdout


def test_new_pki_has_an_empty_list_of_each_authority(pki: Pki):
    han = crl.read_lists(pki.han_crl.read_bytes())
    issuers = [each.certificate.subject for each in pki.authorities()]
    assert [each.issuer for each in (*lists(pki), *han)] == issuers
    assert all(crl.entries(each) == [] and crl.number_of(each) == 1 for each in lists(pki))


def test_revoked_triplet_stands_on_the_list_of_its_issuer_for_good(pki: Pki):
    sub = pki.wan_authorities()[0].certificate
    found = operations.revoke(pki, EMT, "key-compromise")
    operations.issue_lists(pki)
    assert [crl.number_of(each) for each in lists(pki)] == [3, 3]
    entries = crl.entries(lists(pki)[0])
    assert {each.serial for each in entries} == {each.serial_number for each in found}
    assert {each.reason for each in entries} == {"key-compromise"} and len(entries) == 3
    again = operations.revoke(pki, EMT, "superseded")
    assert crl.entries(lists(pki)[0]) == entries and len(again) == 3
    with pytest.raises(Distrusted, match="was revoked on"):
        check_revocation(found[0], sub, lists(pki), now() + timedelta(minutes=1))
    check_revocation(found[0], sub, lists(pki), now() - timedelta(minutes=5))


def test_without_a_sound_list_nobody_is_trusted(pki: Pki, tmp_path: Path):
    sub = pki.wan_authorities()[0].certificate
    own = files.read_certificate(pki.gwa.tls.cert)
    check_revocation(own, sub, lists(pki), now())
    with pytest.raises(Distrusted, match="no revocation list"):
        check_revocation(own, sub, lists(pki)[1:], now())
    with pytest.raises(Distrusted, match="had expired"):
        check_revocation(own, sub, lists(pki), now() + timedelta(days=40))
    other = Pki.init(tmp_path / "other")
    with pytest.raises(Distrusted, match="wrong signature"):
        check_revocation(own, sub, lists(other), now())


def test_only_what_this_pki_issued_can_be_revoked(pki: Pki, tmp_path: Path):
    other = Pki.init(tmp_path / "other")
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes((other.directory / "han" / "smgw.crt.pem").read_bytes())
    before = pki.han_crl.read_bytes()
    with pytest.raises(BadInput, match="neither a certificate file nor a folder"):
        operations.revoke(pki, "emt-nobody")
    with pytest.raises(BadInput, match="known are"):
        operations.revoke(pki, EMT, "whim")
    (tmp_path / "not.pem").write_text("x")
    with pytest.raises(BadInput, match="not a certificate"):
        operations.revoke(pki, str(tmp_path / "not.pem"))
    assert pki.han_crl.read_bytes() == before


@pytest.mark.parametrize("name", ["gwa", "smgw", "han", EMT, "cls-ETST0020000017"])
def test_renewal_keeps_names_and_purposes_and_changes_keys(pki: Pki, name: str):
    folder = pki.directory / name
    old = {path: files.read_certificate(path) for path in folder.glob("*.crt.pem")}
    keys = {path: path.read_bytes() for path in folder.glob("*.key.*")}
    made = operations.renew(pki, name, days=40)
    assert {each.path for each in made} == {path for path in old if path != pki.han_trust}
    for each in made:
        new = files.read_certificate(each.path)
        before = old[each.path]
        assert (new.subject, new.issuer) == (before.subject, before.issuer)
        assert new.serial_number == each.now != each.before == before.serial_number
        assert new.public_key() != before.public_key()
        assert 39 <= (new.not_valid_after_utc - now()).days <= 40
        for extension in before.extensions:
            kind = type(extension.value)
            if kind not in (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier):
                assert new.extensions.get_extension_for_class(kind).value == extension.value
    for path, data in keys.items():
        own = path != pki.directory / "han" / "ca.key.pem"
        assert (path.read_bytes() != data) is own
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(folder.glob(".renewal*"))


def test_renewal_cut_off_before_the_last_file_is_ended_by_the_next(pki: Pki, monkeypatch):
    moved = Path.replace

    def cut(self: Path, target):
        if self.name == "tls.key.pem" and self.parent.name == staging.RENEWAL:
            raise KeyboardInterrupt
        return moved(self, target)

    monkeypatch.setattr(Path, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        operations.renew(pki, "gwa")
    monkeypatch.undo()
    assert (pki.directory / "gwa" / staging.RENEWAL).is_dir()
    assert staging.finish_renewal(pki.directory / "gwa")
    key = files.read_key(pki.gwa.tls.key)
    assert files.read_certificate(pki.gwa.tls.cert).public_key() == key.public_key()
    assert not staging.finish_renewal(pki.directory / "gwa")


def test_what_ends_is_told_once_with_the_next_step(pki: Pki):
    operations.renew(pki, EMT, days=10)
    operations.issue_lists(pki, days=2)
    told: list[watch.Ending] = []
    paths = [pki.emt("flexmarkt").tls.cert, pki.gwa.tls.cert, pki.directory / "none"]
    looking = watch.ExpiryWatch(paths, [pki.wan_crl], 30, told.append)
    looking.look()
    looking.look()
    assert [each.state for each in told] == [watch.SOON] * 3  # a certificate and two lists
    assert "clsbench pki renew DIR emt-flexmarkt" in told[0].text
    assert told[1].subject == "revocation list of CN=clsbench-Test-Sub.CA"
    assert "clsbench pki crl" in told[1].text
    late = watch.endings(paths, [pki.wan_crl], now() + timedelta(days=20), 0)
    assert [each.state for each in late] == [watch.EXPIRED] * 3 and " ended " in late[0].text


def test_commands_revoke_renew_and_show(pki: Pki):
    folder = str(pki.directory)
    assert run("show", folder)[0] == 0
    code, told = run("renew", folder, "gwa", "--days", "20", "--revoke", "--json")
    assert code == 0 and len(json.loads(told)["renewed"]) == 3
    code, told = run("show", folder, "--json")
    shown = json.loads(told)
    states = {each["file"]: each["state"] for each in shown["certificates"]}
    assert code == 1 and states["gwa/tls.crt.pem"] == "expires soon"
    assert [each["revoked"] for each in shown["lists"]] == [3, 0, 0]
    assert run("show", folder, "--warn-days", "5")[0] == 0
    assert run("revoke", folder, EMT)[1].startswith("revoked flexmarkt.EMT ")
    code, told = run("show", folder, "--warn-days", "0")
    assert code == 1 and told.count(" revoked ") == 3
    _, told = run("crl", folder, "--days", "3", "--json")
    assert [each["state"] for each in json.loads(told)["lists"]] == ["valid"] * 3
    assert "expires soon" in run("show", folder)[1]
    assert run("crl", folder)[1].count("number") == 3


def test_brainpool_profile_makes_a_han_on_brainpool(tmp_path: Path):
    run("init", "--out", str(tmp_path / "pki"), "--han-profile", "brainpool")
    made = Pki.open(tmp_path / "pki")
    for path in (made.smgw_han.cert, made.cls("ETST0020000017").cert, made.han_trust):
        assert files.read_certificate(path).public_key().curve.name == "brainpoolP256r1"  # type: ignore[union-attr]


def of_before(folder: Path) -> Pki:
    """As versions up to 2026 made it: all of the WAN on brainpoolP256r1 with SHA-256."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authority, "ROOT_CURVE", authority.WAN_CURVE)
        patch.setattr(authority, "SUB_CURVE", authority.WAN_CURVE)
        return Pki.init(folder)


def test_pki_of_before_goes_on_working_in_its_own_form(tmp_path: Path):
    old = Pki.open(of_before(tmp_path / "pki").directory)
    operations.renew(old, "smgw")
    old.issue_emt("late")
    operations.revoke(old, "emt-late")
    wan = [path for path in old.certificates() if isinstance(curve(path), authority.WAN_CURVE)]
    assert old.root_cert in wan and len(wan) == 2 + 4 * 3
    found = [files.read_certificate(path) for path in wan]
    assert {type(each.signature_hash_algorithm) for each in (*found, *lists(old))} == {
        hashes.SHA256
    }
    material = [
        Material(each, old.wan_trust, Crl(old.wan_crl)) for each in (old.gwa.tls, old.smgw.tls)
    ]
    assert all(handshake_in_memory(each, WAN) for each in material)


def test_pki_of_before_is_told_with_the_remedy(pki: Pki, tmp_path: Path):
    old = of_before(tmp_path / "old")
    told = operations.older_form(old)
    assert "clsbench-Test-Root.CA lies on brainpoolP256r1, TR-03116-3 asks brainpoolP512r1" in told
    assert "clsbench-Test-Sub.CA lies on brainpoolP256r1, TR-03116-3 asks brainpoolP384r1" in told
    assert told.endswith("clsbench pki init --out DIR --overwrite")
    code, shown = run("show", str(old.directory))
    assert code == 0 and shown.splitlines()[-1] == f"older form: {told}"
    assert json.loads(run("show", str(old.directory), "--json")[1])["older_form"] == told
    finding = doctor.certificates(old.directory)
    assert (finding.state, finding.remedy) == (doctor.NOTE, told)
    assert operations.older_form(pki) == ""
    assert "older form" not in run("show", str(pki.directory))[1]


def curve(path: Path) -> ec.EllipticCurve:
    key = files.read_certificate(path).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key.curve


def test_pki_of_before_without_its_root_key_says_so(pki: Pki):
    os.unlink(pki.directory / "root.key.pem")
    with pytest.raises(BadInput, match="root.key.pem: cannot issue certificates"):
        operations.issue_lists(pki)
