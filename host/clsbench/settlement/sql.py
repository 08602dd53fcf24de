"""The settlement of many metering points as one SQL expression, for engines that have the data.

Text only: runs nothing and needs no engine. The expression (`quarter_hours.sql`) says its tables;
`sql_tables` makes them and says which points they can carry. Tested on DuckDB and Spark.
"""

import re
from functools import cache
from pathlib import Path

# how an engine writes division of integers, towards zero
DIALECTS = {"duckdb": "//", "spark": "div"}
EARLIEST, LATEST = -(1 << 52), 1 << 52  # before and behind every instant of a table

_FILE = Path(__file__).with_name("quarter_hours.sql")


@cache
def quarter_hours(dialect: str) -> str:
    """The expression in the words of an engine. Raises KeyError for an unknown dialect."""
    words = {"//": DIALECTS[dialect], "EARLIEST": str(EARLIEST), "LATEST": str(LATEST)}
    text = re.sub(r"--[^\n]*", "", _FILE.read_text(encoding="utf-8"))
    return re.sub(r"//|\b(?:EARLIEST|LATEST)\b", lambda found: words[found[0]], text).strip()
