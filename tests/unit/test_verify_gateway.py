"""What `clsbench verify` finds in signed gateway records, and how the command is used."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from verify_kit import Folder, chain, faulty, only_finding

from clsbench.cli.verify import verify
from clsbench.errors import BadInput
from clsbench.pki.layout import Pki
from clsbench.pki.operations import revoke
from clsbench.smgw.core.cms import sign

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write(chain(5))
    return made


def signed(
    pki: Pki, seq: int, raw: int = 100, smgw: str = "ETST0010000001", role=None, at=None
) -> bytes:
    record = {
        "type": "taf7",
        "smgw_id": smgw,
        "profile_id": "taf7-rod",
        "seq": seq,
        "values": [{"obis": "1-0:1.8.0*255", "raw": raw + seq, "scaler": -1, "unit": 30}],
    }
    identity = role or pki.smgw.sig
    content = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    return sign(content, identity.cert.read_bytes(), identity.key.read_bytes(), at or NOW)


@pytest.fixture
def gateway(tmp_path: Path, pki: Pki) -> Folder:
    made = Folder(tmp_path)
    made.options = ["--pki", str(pki.directory)]
    for seq in range(1, 5):
        (made.records / f"taf7-rod-{seq:06d}.cms.der").write_bytes(signed(pki, seq))
    return made


def test_gateway_records_hold_with_the_pki_or_its_trust_file(gateway: Folder, pki: Pki):
    document = gateway.run(code=0)
    assert document["series"][0]["name"] == "ETST0010000001 taf7-rod"
    gateway.options = ["--trust", str(pki.wan_trust)]
    gateway.run(code=0)


def test_altered_gateway_record_is_found_and_named(gateway: Folder):
    path = gateway.records / "taf7-rod-000002.cms.der"
    path.write_bytes(path.read_bytes().replace(b'"raw":102', b'"raw":103'))
    document = gateway.run(code=1)
    assert faulty(document) == ["taf7-rod-000002.cms.der"]
    assert "content was altered" in document["findings"][0]
    assert (
        "record 3 of ETST0010000001, profile taf7-rod: record 2 is missing"
        in (document["findings"][1])
    )


def test_repeated_gateway_numbers_are_found(gateway: Folder, pki: Pki):
    (gateway.records / "again.cms.der").write_bytes(signed(pki, 2))
    assert "profile taf7-rod: is there 2 times" in only_finding(gateway.run(code=1))
    (gateway.records / "again.cms.der").write_bytes(signed(pki, 2, raw=200))
    assert "two different records bear this number" in only_finding(gateway.run(code=1))


def test_gateway_record_under_anothers_name_or_number_is_found(gateway: Folder, pki: Pki):
    path = gateway.records / "taf7-rod-000004.cms.der"
    path.write_bytes(signed(pki, 4, smgw="ETST0010000002"))
    assert "is of ETST0010000002, but was signed by ETST0010000001" in only_finding(
        gateway.run(code=1)
    )
    path.write_bytes(signed(pki, 5))
    assert (
        "holds record 5 of profile taf7-rod, which its name denies"
        in (gateway.run(code=1)["findings"][0])
    )


def test_record_signed_by_another_role_or_another_pki_is_refused(
    gateway: Folder, pki: Pki, tmp_path: Path
):
    path = gateway.records / "taf7-rod-000004.cms.der"
    path.write_bytes(signed(pki, 4, role=pki.gwa.sig))
    assert "whose role is not SMGW" in only_finding(gateway.run(code=1))
    path.write_bytes(signed(Pki.init(tmp_path / "foreign"), 4))
    assert "not trusted" in only_finding(gateway.run(code=1))


# the command


def test_both_kinds_in_one_run(folder: Folder, pki: Pki):
    (folder.records / "one").write_bytes(signed(pki, 1))
    document = folder.run("--pki", str(pki.directory), str(folder.records / "one"), code=0)
    assert sorted({each["kind"] for each in document["files"]}) == ["device", "gateway"]


def test_file_that_is_neither_is_a_finding(folder: Folder):
    (folder.path / "notes.txt").write_text("hello")
    document = folder.run(str(folder.path / "notes.txt"), code=1)
    assert "neither a sealed device record nor a signed gateway record" in only_finding(document)


def test_missing_key_trust_and_records_are_usage_errors(folder: Folder, pki: Pki):
    def fails(*arguments: str) -> str:
        done = CliRunner().invoke(verify, arguments, standalone_mode=False)
        assert isinstance(done.exception, BadInput) and done.exception.exit_code == 2
        return str(done.exception)

    records = str(folder.records)
    assert "--key FILE" in fails(records)
    assert "no-key: cannot be read" in fails(records, "--key", "no-key")
    (folder.path / "empty").mkdir()
    assert "holds no record" in fails(str(folder.path / "empty"))
    (folder.records / "x.cms.der").write_bytes(signed(pki, 1))
    assert "--pki DIR" in fails(records, *folder.options)
    assert "wan-trust.pem: no such file" in fails(records, *folder.options, "--pki", records)


def test_shown_to_people_the_fault_stands_beside_the_file(folder: Folder):
    (folder.records / "000002-taf16.cbor").unlink()
    done = CliRunner().invoke(
        verify, [str(folder.records), *folder.options], standalone_mode=False
    )
    assert done.return_value == 1
    assert "ok     " in done.stdout and "FAULT  device ETST0020000017: 4 records" in done.stdout
    assert "4 of 4 files hold; findings: 1" in done.stdout


def test_a_record_signed_after_the_revocation_of_its_certificate_is_found(tmp_path: Path):
    pki = Pki.init(tmp_path / "pki")
    folder = Folder(tmp_path)
    now = datetime.now(UTC).replace(microsecond=0)  # the revocation's
    for seq, at in ((1, now - timedelta(minutes=5)), (2, now + timedelta(minutes=5))):
        (folder.records / f"taf7-rod-{seq:06d}.cms.der").write_bytes(signed(pki, seq, at=at))
    folder.options = ["--pki", str(pki.directory)]
    folder.run(code=0)
    revoke(pki, "smgw", "key-compromise")
    document = folder.run(code=1)
    (one,) = document["found"]
    assert (one["kind"], faulty(document)) == ("signer", ["taf7-rod-000002.cms.der"])
    assert "ETST0010000001.SMGW" in one["text"] and f"revoked on {now:%Y-%m-%d}" in one["text"]
    folder.options = ["--trust", str(pki.wan_trust)]
    folder.run(code=0)
    folder.options += ["--crl", str(pki.wan_crl)]
    folder.run(code=1)
    folder.options[-1] = str(pki.wan_trust)
    with pytest.raises(AssertionError, match="no revocation list in the file"):
        folder.run(code=1)
