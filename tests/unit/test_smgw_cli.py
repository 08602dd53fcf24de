"""`clsbench smgw` for people: a seeded month, looked at as tables and as JSON; the examples."""

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from clsbench.cli.smgw import smgw
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.pki.layout import DEFAULT_CLS
from clsbench.smgw.config import SmgwConfig, load_config
from clsbench.smgw.core.legal_time import QUARTER_MS, midnight_ms, month_ms
from clsbench.smgw.store import Store

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
METER = "1EMH0098765432"
IMPORT = "1-0:1.8.0*255"
TAFS = {"home": [1, 2, 6, 7, 7], "grid": [9, 10, 14], "chain": [16, 7], "meters": [7, 7, 7]}


def run(*words, config=None):
    """The output of a command. Raises what it raised."""
    words = [*words, *(("--config", str(config)) if config else ())]
    done = CliRunner().invoke(smgw, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def home(tmp_path):
    """The example for HAN clients, in a folder of its own."""
    config = tmp_path / "smgw.toml"
    config.write_text((EXAMPLES / "smgw-home.toml").read_text())
    return config


@pytest.mark.parametrize("name", sorted(TAFS))
def test_the_examples_are_configurations_that_hold(name, pki):
    example = EXAMPLES / f"smgw-{name}.toml"
    loaded = load_config(example)
    sections = loaded.model_dump() | {"pki": {"dir": pki.directory}}
    profiles = SmgwConfig.model_validate(sections).profiles()
    assert [taf.number for taf in profiles.tafs] == TAFS[name]
    assert [cls.cls_id for cls in profiles.cls] == ([DEFAULT_CLS] if name == "chain" else [])


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.toml")} == {f"smgw-{n}.toml" for n in TAFS}


@pytest.mark.parametrize(
    ("month", "quarters"), [("2026-03", 31 * 96 - 4), ("2026-10", 31 * 96 + 4), ("2026-02", 2688)]
)
def test_a_seeded_month_has_every_quarter_hour_and_its_registers(home, month, quarters):
    (first, second) = json.loads(run("seed", "--month", month, "--json", config=home))
    assert first["readings"] == 2 * (quarters + 1) and second["readings"] == 3 * (quarters + 1)
    asked = ("readings", "--meter", METER, "--obis", "1-0:1.8.0", "--json")
    rows = json.loads(run(*asked, config=home))
    year, number = map(int, month.split("-"))
    start, end = month_ms(year, number)
    assert [row["due_ms"] for row in rows] == list(range(start, end + 1, QUARTER_MS))
    assert all(abs(row["captured_ms"] - row["due_ms"]) <= 9000 for row in rows)
    raws = [row["raw"] for row in rows]
    assert raws == sorted(raws) and {row["ptb"] for row in rows} == {0}
    (taf1,) = [
        row
        for row in json.loads(run("readings", "--profile", "taf1-home", "--json", config=home))
        if row["obis"] == IMPORT
    ]
    assert taf1["raw"] == raws[-1] - raws[0] > 0
    stages = json.loads(run("readings", "--profile", "taf2-home", "--json", config=home))
    own = {row["obis"]: row["raw"] for row in stages if ":1.8." in row["obis"]}
    assert own.pop(IMPORT) == taf1["raw"] == sum(own.values()) and len(own) == 3


def test_the_month_after_goes_on_where_the_one_before_ended(home):
    run("seed", "--month", "2026-02", config=home)
    run("seed", "--month", "2026-03", config=home)
    asked = ("readings", "--meter", METER, "--obis", "1-0:1.8.0", "--json")
    raws = [row["raw"] for row in json.loads(run(*asked, config=home))]
    assert raws == sorted(raws) and len(raws) == 28 * 96 + 31 * 96 - 4 + 1


def test_gaps_are_rows_without_value_that_say_so(home):
    run("seed", "--month", "2026-02", "--gaps", "5", config=home)
    rows = json.loads(run("readings", "--obis", IMPORT, "--json", config=home))
    lost = [row for row in rows if row["raw"] is None]
    assert len(lost) == 10 and {row["ptb"] for row in lost} == {3}
    assert all(row["told"] == ["no value"] and row["captured"] is None for row in lost)


def test_everything_is_there_as_a_table(home):
    run("seed", "--month", "2026-02", "--gaps", "1", config=home)
    assert "ETST0010000001: not running" in run("status", config=home)
    assert METER in run("meters", config=home)
    assert "taf2-home" in run("profiles", config=home)
    day = ("--from", "2026-02-03", "--to", "2026-02-03T01:00Z")
    table = run("readings", "--meter", METER, *day, config=home)
    assert table.count(METER) == 8 and "2026-02-03T00:45:00.000Z" in table and "Wh" in table
    assert "1-0:1.8.63*255" in run("readings", "--profile", "taf2-home", config=home)
    assert "meter.seeded" in run("log", "--log", "consumer/consumer-1", config=home)


def test_a_gateway_that_runs_is_told_and_looked_at_by_its_folder(home):
    run("seed", "--month", "2026-02", config=home)
    folder = load_config(home).smgw.state_dir
    store = Store(folder)
    found = json.loads(run("status", "--state", str(folder), "--json"))
    store.close()
    assert found["running"] is True and found["smgw_id"] == "ETST0010000001"
    assert [log["log"] for log in found["logs"]] == [
        "consumer/consumer-1", "consumer/consumer-2", "system",
    ]  # fmt: skip


def test_a_changed_profile_has_versions_and_a_removed_one_is_archived(home):
    run("seed", "--month", "2026-02", config=home)
    text = home.read_text()
    changed = text.replace('tariff_name = "plain"', 'tariff_name = "fair"')
    changed = changed[: changed.index('[[taf]]\nid = "taf7-neighbour"')]
    home.write_text(changed)
    run("seed", "--month", "2026-03", config=home)
    found = json.loads(run("profiles", "--all", "--json", config=home))
    states = {(p["name"], p["version"]): p["state"] for p in found if p["kind"] == "taf"}
    assert states[("taf1-home", 1)] == states[("taf7-neighbour", 1)] == "archive"
    assert states[("taf1-home", 2)] == states[("taf7-home", 1)] == "running"
    assert "password" not in json.dumps(found)


def test_a_folder_no_gateway_ran_in_and_a_wrong_month_are_told(home, tmp_path, monkeypatch):
    with pytest.raises(EnvironmentProblem, match="has a gateway ever run"):
        run("status", config=home)
    with pytest.raises(BadInput, match="expected YYYY-MM"):
        run("seed", "--month", "October", config=home)
    with pytest.raises(BadInput, match="time 'noon'"):
        run("seed", "--month", "2026-02", config=home) and run(
            "readings", "--from", "noon", config=home
        )
    monkeypatch.chdir(tmp_path / "..")
    with pytest.raises(BadInput, match=r"smgw\.toml: cannot be read"):  # which is looked for here
        CliRunner().invoke(smgw, ["status"], catch_exceptions=False)
    both = ["status", "--config", str(home), "--state", str(tmp_path)]
    assert CliRunner().invoke(smgw, both).exit_code == 2


def test_local_midnight_is_what_a_day_end_is_read_at(home):
    run("seed", "--month", "2026-10", config=home)
    days = json.loads(run("readings", "--profile", "taf6-home", "--json", config=home))
    ends = {row["end_ms"] for row in days}
    assert len(ends) == 31 and midnight_ms(date(2026, 10, 26)) in ends
