"""TRuDI files from end to end: exported by the command, verified by the command, recounted."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from clsbench.cli.smgw import smgw
from clsbench.cli.verify import verify
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.smgw.trudi import schema
from clsbench.smgw.trudi.recompute import aligned_ms
from clsbench.smgw.trudi.tree import time_text

HOME = Path(__file__).parents[2] / "docs" / "examples" / "smgw-home.toml"
TARIFFS = ("taf1-home", "taf2-home", "taf6-home", "taf7-home")


@pytest.fixture(scope="module")
def exported(pki, tmp_path_factory):
    """A folder with the files of March, the short month, five due times lost."""
    folder = tmp_path_factory.mktemp("trudi")
    config = folder / "smgw.toml"
    config.write_text(HOME.read_text().replace('dir = "pki"', f'dir = "{pki.directory}"'))
    command("seed", "--config", config, "--month", "2026-03", "--gaps", 5)
    for name in TARIFFS:
        more = ("--tariff-file", folder / "tariff.xml") if name == "taf2-home" else ()
        out = folder / f"{name}.xml"
        words = ("--profile", name, "--month", "2026-03", "--out", out)
        command("export", "--config", config, *words, *more)
    return folder


def command(*words):
    done = CliRunner().invoke(smgw, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def judged(*words):
    """(exit code, document) of clsbench verify."""
    done = CliRunner().invoke(
        verify, [*map(str, words), "--json"], standalone_mode=False, catch_exceptions=False
    )
    return done.return_value, json.loads(done.output)


def test_files_of_a_seeded_month_hold(exported):
    words = [word for name in TARIFFS for word in ("--trudi", exported / f"{name}.xml")]
    code, found = judged(*words)
    assert code == 0 and found["ok"] and [one["taf"] for one in found["files"]] == [1, 2, 6, 7]
    left_out = {rule["name"] for one in found["files"] for rule in one["rules"] if rule["why_not"]}
    assert left_out == {"R3", "X1"}


def test_taf2_is_recounted_from_the_list_with_the_suppliers_file(exported):
    words = ("--trudi", exported / "taf2-home.xml", "--tariff", exported / "tariff.xml")
    code, found = judged(*words)
    rules = {rule["name"]: rule for rule in found["files"][0]["rules"]}
    assert code == 0 and rules["R3"]["ok"] and not rules["R3"]["why_not"]
    assert "supplier.S5" in rules and "T11" in rules


def test_a_changed_reading_is_found_by_recounting(exported, tmp_path):
    text = (exported / "taf1-home.xml").read_text()
    value = text.split("<espi:value>")[1].split("<")[0]
    (tmp_path / "changed.xml").write_text(text.replace(value, str(int(value) + 1), 1))
    code, found = judged("--trudi", tmp_path / "changed.xml")
    failed = [rule["name"] for rule in found["files"][0]["rules"] if not rule["ok"]]
    assert (code, failed) == (1, ["R1"])


def test_the_report_names_every_rule_for_people(exported):
    done = CliRunner().invoke(verify, ["--trudi", str(exported / "taf7-home.xml")])
    assert done.output.count("\nok   ") > 30 and "no schema given" in done.output


def test_what_has_no_trudi_file_is_told(exported, tmp_path):
    config = exported / "smgw.toml"
    asked = ("export", "--config", str(config), "--month", "2026-03", "--out", str(tmp_path / "o"))
    for words, told in (
        (("--profile", "other"), "there are: taf1-home"),
        (("--profile", "taf1-home", "--tariff-file", str(tmp_path / "t")), "no tariff stages"),
    ):
        with pytest.raises(BadInput, match=told):
            CliRunner().invoke(smgw, [*asked, *words], catch_exceptions=False)
    early = [word.replace("2026-03", "2020-01") for word in asked]
    with pytest.raises(BadInput, match="clsbench smgw seed"):
        CliRunner().invoke(smgw, [*early, "--profile", "taf7-home"], catch_exceptions=False)


def test_files_and_records_are_not_mixed(exported):
    file = str(exported / "taf1-home.xml")
    done = CliRunner().invoke(verify, ["--trudi", file, file])
    assert done.exit_code == 2 and "apart" in done.output


def test_a_schema_without_lxml_is_an_environment_problem(monkeypatch, tmp_path):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(schema.importlib, "import_module", absent)
    with pytest.raises(EnvironmentProblem, match="lxml"):
        schema.schema_rule(b"<a/>", tmp_path)


def test_files_are_valid_against_the_schema(exported):
    folder = os.environ.get(schema.VARIABLE)
    if not folder:
        pytest.skip(f"{schema.VARIABLE} names no folder with {schema.SCHEMA_NAME}")
    names = [*(f"{name}.xml" for name in TARIFFS), "tariff.xml"]
    for name in names:
        found = schema.schema_rule((exported / name).read_bytes(), Path(folder))
        assert found.findings == (), name


def test_a_file_that_breaks_the_schema_is_found(exported):
    folder = os.environ.get(schema.VARIABLE)
    if not folder:
        pytest.skip(f"{schema.VARIABLE} names no folder with {schema.SCHEMA_NAME}")
    data = (exported / "taf1-home.xml").read_bytes().replace(b"smgwId", b"gatewayId")
    assert schema.schema_rule(data, Path(folder)).findings


@pytest.mark.parametrize(
    ("captured_ms", "period_s", "due_ms"),
    [
        (900_000 - 9_000, 900, 900_000),
        (900_000 + 9_000, 900, 900_000),
        (900_000 + 9_001, 900, 909_001),
        (3_600_000 - 36_000, 3600, 3_600_000),
    ],
)
def test_a_capture_time_stands_for_the_due_time_within_one_percent(captured_ms, period_s, due_ms):
    assert aligned_ms(captured_ms, period_s) == due_ms


def test_times_have_the_local_offset():
    assert time_text(1_774_744_200_000) == "2026-03-29T01:30:00+01:00"
    assert time_text(1_774_746_000_123) == "2026-03-29T03:00:00.123+02:00"
