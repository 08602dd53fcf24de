"""`clsbench settle sql`: many metering points as tables, and the expression that settles them.

For an engine that has the data, or more cores than one machine. Needs numpy and pyarrow.
"""

from pathlib import Path
from typing import Any

import click

from clsbench.errors import BadInput, EnvironmentProblem

BATCH = 25  # points a file: an engine on one machine settles file by file in bounded memory


@click.command("sql")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option(
    "--dialect", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True
)
def sql_tables(folder: Path, out: Path, dialect: str) -> int:
    """Write the points in DIR (NPZ columns) as Parquet tables, with the SQL that settles them.

    OUT/tables/NAME/*.parquet and OUT/quarter_hours.sql, whose head says the tables and the result.
    Points that tables cannot say are named; settle them with `clsbench settle fleet`. Exit code 1
    where there are such.
    """
    from importlib.util import find_spec

    for module in ("numpy", "pyarrow"):
        if find_spec(module) is None:
            raise EnvironmentProblem(
                f"settle sql needs {module}, which is not installed here. Install it with: "
                "pip install 'clsbench[settlement]'"
            )
    from clsbench.settlement.sql import quarter_hours

    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise BadInput(f"{folder}: holds no columns (*.npz)")
    left = write_points(paths, out / "tables")
    (out / "quarter_hours.sql").write_text(quarter_hours(dialect) + "\n", encoding="utf-8")
    click.echo(f"{len(paths) - len(left)} of {len(paths)} points in {out / 'tables'}")
    for path in left:
        click.echo(f"left to the core: {path}")
    return 1 if left else 0


def write_points(paths: list[Path], tables: Path) -> list[Path]:
    """Writes files of points, BATCH to a file; the key of a point is its place in `paths`.

    Returns the points that tables cannot say.
    """
    from clsbench.cli.settle_fleet import load_columns
    from clsbench.settlement.sql_tables import quarters, sayable

    left, most = [], 0
    for first in range(0, len(paths), BATCH):
        points = []
        for number, path in enumerate(paths[first : first + BATCH], first):
            columns = load_columns(path)
            if sayable(columns):
                points.append((number, columns))
            else:
                left.append(path)
        if points:
            write_tables(points, tables, f"{first:06}")
            most = max(most, *(quarters(columns) for _number, columns in points))
    write_quarters(tables, most)
    return left


def write_quarters(tables: Path, most: int) -> None:
    """The table that numbers quarter hours, one for all points. most: of any point."""
    _write(tables / "quarter" / "all.parquet", "quarter", [{"n": list(range(most + 1))}])


def write_tables(points: list[tuple[int, Any]], tables: Path, batch: str) -> None:
    """Tables of some points, one file a table; one without rows keeps its columns."""
    from clsbench.settlement.sql_tables import tables_of

    rows = [tables_of(number, columns) for number, columns in points]
    for name in rows[0]:
        _write(tables / name / f"{batch}.parquet", name, [row[name] for row in rows])


def _write(path: Path, name: str, parts: list[dict[str, Any]]) -> None:
    import pyarrow as pa  # pyright: ignore[reportMissingImports]
    import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]

    from clsbench.settlement.sql_tables import TABLES, TEXT

    forms = {c: pa.string() if form == TEXT else pa.int64() for c, form in TABLES[name].items()}
    columns = {
        column: pa.concat_arrays([pa.array(part[column], form) for part in parts])
        for column, form in forms.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
