"""Series as Parquet, through pyarrow where it is installed (extra `settlement`)."""

from pathlib import Path
from typing import Any

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.settlement.csv_series import COLUMNS, read_csv, write_csv

_NUMBERS = ("raw", "scaler", "ptb", "seq")


def read_parquet(path: Path) -> dict[str, Any]:
    """series[] and events[] of a Parquet file with the columns of the CSV form."""
    csv, parquet, arrow = _pyarrow()
    try:
        table = parquet.read_table(path)
    except (OSError, arrow.ArrowException) as error:
        raise BadInput(f"{path}: is no Parquet file: {error}") from error
    sink = arrow.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(quoting_style="needed"))
    return read_csv(sink.getvalue().to_pybytes().decode(), str(path))


def write_parquet(path: Path, body: dict[str, Any]) -> None:
    """Writes the series and events of an input document; numbers as int64, the rest as text."""
    csv, parquet, arrow = _pyarrow()
    types = {name: arrow.int64() if name in _NUMBERS else arrow.string() for name in COLUMNS}
    convert = csv.ConvertOptions(
        column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=True
    )
    try:
        table = csv.read_csv(arrow.BufferReader(write_csv(body).encode()), convert_options=convert)
        parquet.write_table(table, path)
    except (OSError, arrow.ArrowException) as error:
        raise EnvironmentProblem(f"{path}: cannot be written: {error}") from error


def _pyarrow() -> tuple[Any, Any, Any]:
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        import pyarrow.csv  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise EnvironmentProblem(
            "Parquet needs pyarrow, which is not installed here. Install it with: "
            "pip install 'clsbench[settlement]', or use CSV"
        ) from error
    return pyarrow.csv, pyarrow.parquet, pyarrow
