"""From a number of the settlement to sealed or signed bytes that `clsbench verify` accepts."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from record_stores import KEY, A, gateway_record, run, sealed

from clsbench.cli.main import cli
from clsbench.emt.store import DeviceRecord, EmtStore, GatewayRecord
from clsbench.errors import BadInput
from clsbench.smgw.core.cms import sign
from clsbench.smgw.schema import open_database

MINUTES = (0, 15, 30, 45)
DEVICE = ((0, 1000, None), (5, 1030, 1), (15, 1100, None), (30, 1160, None), (35, 1170, 2))
NUMBERS = ("2026-05-04T08:00:00Z", "2026-05-04T08:15:00Z", A, "2026-05-04", "WIND", "HOME", "all")


@pytest.fixture(scope="module")
def made(pki):
    """Sealed device records and signed gateway records: A ran from 08:05 to 08:35."""
    device, previous = [], bytes(8)
    for seq, (minute, raw, event) in enumerate((*DEVICE, (45, 1200, None)), 1):
        device.append(sealed(seq, minute, raw, event, previous))
        previous = hashlib.sha256(device[-1]).digest()[:8]
    gateway = [gateway_record("taf7", n, m, 50_000 + 100 * m) for n, m in enumerate(MINUTES, 1)]
    gateway.append(gateway_record("taf16", 1, 5, 50_510, "begin", late_ms=400))
    gateway.append(gateway_record("taf16", 2, 35, 53_520, "end", late_ms=900))
    signed = []
    for content in gateway:
        raw = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        pair = pki.smgw.sig.cert.read_bytes(), pki.smgw.sig.key.read_bytes()
        signed.append((content, raw, sign(raw, *pair, datetime.now(UTC).replace(microsecond=0))))
    return device, signed


@pytest.fixture
def emt(made, tmp_path):
    """Both in an aEMT's store."""
    store = EmtStore(tmp_path / "emt.sqlite")
    for seq, data in enumerate(made[0], 1):
        store.add_device_record(DeviceRecord("ETST0020000017", seq, None, None, data, True, 0))
    for content, raw, der in made[1]:
        key = (content["smgw_id"], content["profile_id"], content["seq"])
        store.add_gateway_record(
            GatewayRecord(*key, content.get("uuid"), content["type"], raw, der, 0)
        )
    store.close()
    return tmp_path / "emt.sqlite"


@pytest.fixture
def smgw(made, tmp_path):
    """Both in a gateway's own store, device records unopened."""
    database = open_database(tmp_path / "smgw.sqlite")
    for seq, data in enumerate(made[0], 1):
        database.execute(
            "INSERT INTO device_records VALUES (?, ?, ?, 0)", ("ETST0020000017", seq, data)
        )
    for content, raw, der in made[1]:
        names = ("profile_id", "seq", "uuid", "event", "due_ms", "captured_ms")
        database.execute(
            f"INSERT INTO gateway_records ({', '.join(names)}, content, cms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*map(content.get, names), raw, der),
        )
    database.close()
    return tmp_path / "smgw.sqlite"


@pytest.fixture
def options(tmp_path, pki):
    (tmp_path / "records.key").write_bytes(KEY)
    return ["--key", str(tmp_path / "records.key"), "--pki", str(pki.directory)]


@pytest.fixture
def groups(tmp_path):
    path = tmp_path / "groups.json"
    path.write_text(json.dumps({"rest": "HOME", "delta": "DELTA", "by_uuid": {A: "WIND"}}))
    return path


@pytest.mark.parametrize("witness", ["device", "gateway"])
@pytest.mark.parametrize("store", ["emt", "smgw"])
def test_every_number_leads_to_bytes_that_verify_accepts(
    request, store, witness, options, groups, tmp_path
):
    url = request.getfixturevalue(store)
    source = ["--db", url, "--witness", witness, "--groups", groups]
    for what in NUMBERS:
        out = tmp_path / what
        _code, told = run("explain", what, *source, "--out", out, "--json")
        told = json.loads(told)
        assert len(told["files"]) >= len(told["records"]) >= 2
        assert all(reading["record"] for reading in told["readings"])
        verified = CliRunner().invoke(cli, ["verify", str(out), *options], standalone_mode=False)
        assert verified.exception is None, verified.exception
        assert not verified.return_value, f"{what}: {verified.stdout}"


def test_a_quarter_hour_within_a_transaction_names_its_begin_and_end(emt):
    _code, told = run(
        "explain", "2026-05-04T08:15:00Z", "--db", emt, "--witness", "device", "--json"
    )
    told = json.loads(told)
    assert told["records"] == [f"device ETST0020000017 {seq}" for seq in (2, 3, 4, 5)]
    assert any("1160 - 1100 = 60" in line for line in told["sums"])


def test_a_changed_byte_behind_a_number_is_found(emt, options, tmp_path):
    run("explain", A, "--db", emt, "--out", tmp_path / "out")
    path = sorted((tmp_path / "out").iterdir())[0]
    path.write_bytes(path.read_bytes().replace(b"50510", b"50511"))
    verified = CliRunner().invoke(
        cli, ["verify", str(tmp_path / "out"), *options], standalone_mode=False
    )
    assert verified.return_value == 1


def test_sums_of_a_day_and_a_group_stand_in_the_explanation(emt, groups):
    source = ("--db", emt, "--witness", "device", "--groups", groups)
    _code, out = run("explain", "2026-05-04", *source)
    assert "3 quarter hours, 0 missing, total 200" in out and "WIND: 140" in out
    _code, out = run("explain", "WIND", *source)
    assert out.startswith("Group WIND")
    with pytest.raises(BadInput, match="neither a transaction"):
        run("explain", "2026-05-05", *source)
