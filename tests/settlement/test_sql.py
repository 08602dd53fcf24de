"""The SQL expression against the core: the same digits from DuckDB, and from Spark where it is."""

import importlib.util
import shutil
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from random_points import random_point

from clsbench.cli.settle import settle
from clsbench.cli.settle_fleet import save_columns
from clsbench.cli.settle_sql import write_quarters, write_tables
from clsbench.settlement import sql
from clsbench.settlement.columns import columns_of
from clsbench.settlement.document import read_point
from clsbench.settlement.sql_tables import quarters, sayable

TOOL = Path(__file__).resolve().parents[2] / "tools" / "settle_engines.py"
COUNT = 400


def tool():
    spec = importlib.util.spec_from_file_location("settle_engines", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ENGINES = tool()


def columns(seed):
    return columns_of(read_point(random_point(Random(seed), sound=seed % 3 == 0)["input"]))


@pytest.fixture(scope="module")
def points():
    found = {seed: columns(seed) for seed in range(COUNT)}
    return {seed: each for seed, each in found.items() if sayable(each)}


@pytest.fixture(scope="module")
def tables(points, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sql")
    write_tables(list(points.items()), folder / "tables", "all")
    most = max(map(quarters, points.values()))
    write_quarters(folder / "tables", most)
    return folder


@pytest.fixture(scope="module")
def core(points):
    return {seed: ENGINES.digest_of_core(each) for seed, each in points.items()}


def test_duckdb_gives_the_digits_of_the_core(tables, core):
    out = tables / "duckdb"
    out.mkdir()
    ENGINES.by_duckdb(tables / "tables", "all", out / "all.parquet")
    assert dict(ENGINES.of_duckdb(out)) == core


@pytest.mark.timeout(600)  # Spark's start alone takes its time beside other work
@pytest.mark.skipif(
    not ENGINES.SPARK.exists() or shutil.which("java") is None,
    reason=f"Spark: no {ENGINES.SPARK} (make settle-engines installs it), or no Java",
)
def test_spark_gives_the_digits_of_the_core(tables, core):
    ENGINES.by_spark(tables / "tables", tables / "spark")
    assert dict(ENGINES.of_spark(tables / "spark")) == core


def test_many_points_can_be_said_in_tables_and_some_cannot(points):
    assert COUNT // 3 < len(points) < COUNT


def test_command_writes_tables_and_expression_and_names_what_is_left(points, tmp_path):
    (tmp_path / "points").mkdir()
    plain = [seed for seed in range(COUNT) if columns(seed).plain]
    odd = next(seed for seed in plain if seed not in points)
    for seed in (*list(points)[:2], odd):
        save_columns(tmp_path / "points" / f"{seed}.npz", columns(seed))
    command = ["sql", str(tmp_path / "points"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(settle, [*command, "--dialect", "spark"], standalone_mode=False)
    assert done.return_value == 1
    assert "2 of 3 points" in done.output
    assert f"left to the core: {tmp_path / 'points' / f'{odd}.npz'}" in done.output
    assert (tmp_path / "out" / "quarter_hours.sql").read_text().startswith("WITH")
    assert (tmp_path / "out" / "tables" / "quarter" / "all.parquet").is_file()


def test_dialects_differ_in_whole_division_alone():
    duckdb, spark = sql.quarter_hours("duckdb"), sql.quarter_hours("spark")
    assert duckdb != spark and duckdb.replace("//", "div") == spark
    assert "--" not in spark and "LATEST" not in spark
