"""Runs the settlement's SQL expression on Spark; for the Python that has pyspark, and no other.

    PYTHON tools/settle_spark.py TABLES EXPRESSION OUT

TABLES: folder with one folder of Parquet files a table. EXPRESSION: file with the SQL text.
OUT: becomes a folder with the result, one folder a point. Prints the seconds of the run.
"""

import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession  # pyright: ignore[reportMissingImports]


def main(tables: Path, expression: Path, out: Path) -> None:
    """Runs; Spark's own log goes to stderr."""
    pieces = str(max(2, min(32, len(list((tables / "point").iterdir())))))  # as files: 25 points
    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", pieces)
        .config("spark.local.dir", str(out.parent))
        .getOrCreate()
    )
    began = time.monotonic()
    for folder in tables.iterdir():
        spark.read.parquet(str(folder)).createOrReplaceTempView(folder.name)
    result = spark.sql(expression.read_text(encoding="utf-8"))
    result.repartition(int(pieces), "point").write.partitionBy("point").parquet(str(out))
    print(f"{time.monotonic() - began:.0f}")
    spark.stop()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
