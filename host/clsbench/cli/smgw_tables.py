"""Tables of a gateway's state for the terminal."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

PIPE_WIDTH = 200


def show_status(found: dict[str, Any]) -> None:
    """Of `clsbench smgw status`."""
    running = "running" if found["running"] else "not running"
    print(f"{found['smgw_id'] or 'gateway without a name yet'}: {running}, {found['state_dir']}")
    print(f"{found['meters']} meters, {found['undelivered']} deliveries waiting")
    _table(("profile", "records", "last number"), (list(r.values()) for r in found["records"]))
    _table(("log", "first", "last"), (list(entry.values()) for entry in found["logs"]))


def show_meters(found: list[dict[str, Any]]) -> None:
    """Of `clsbench smgw meters`."""
    _table(
        ("meter", "period", "line", "register", "value", "captured"),
        (
            (
                meter["meter"],
                f"{meter['period_s']} s",
                meter["communication"],
                row["obis"],
                _value(row),
                row["captured"],
            )
            for meter in found
            for row in meter["last"] or [{"obis": "", "raw": None, "captured": ""}]
        ),
    )


def show_profiles(found: list[dict[str, Any]]) -> None:
    """Of `clsbench smgw profiles`."""
    _table(
        ("kind", "name", "version", "state", "TAF", "for"),
        (
            (
                profile["kind"],
                profile["name"],
                profile["version"],
                profile["state"],
                profile["content"].get("number", ""),
                profile["content"].get("final_consumer", ""),
            )
            for profile in found
        ),
    )


def show_readings(found: list[dict[str, Any]]) -> None:
    """Of `clsbench smgw readings`."""
    _table(
        ("meter", "due", "captured", "register", "value", "PTB", "status", "says"),
        (
            (
                row["meter"],
                row["due"] or "(event)",
                row["captured"] or "-",
                row["obis"],
                _value(row),
                row["ptb"],
                row["status"],
                ", ".join(row["told"]),
            )
            for row in found
        ),
    )


def show_derived(found: list[dict[str, Any]]) -> None:
    """Of `clsbench smgw readings --profile`."""
    _table(
        ("from", "to", "register", "value", "PTB"),
        ((row["start"], row["end"], row["obis"], _value(row), row["ptb"]) for row in found),
    )


def show_log(found: list[dict[str, Any]]) -> None:
    """Of `clsbench smgw log`."""
    _table(
        ("no.", "time", "level", "event", "outcome", "subject", "message"),
        (
            (
                entry["number"],
                entry["time"],
                entry["level"],
                entry["event"],
                entry["outcome"],
                entry["subject"],
                entry["message"],
            )
            for entry in found
        ),
    )


def _value(row: dict[str, Any]) -> str:
    if row["raw"] is None:
        return "-"
    scaler = row["scaler"]
    text = str(row["raw"] * 10 ** max(scaler, 0))
    if scaler < 0:
        sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
        digits = digits.rjust(1 - scaler, "0")
        text = f"{sign}{digits[:scaler]}.{digits[scaler:]}"
    return f"{text} {_UNITS.get(row['unit'], row['unit'])}"


def _table(head: tuple[str, ...], rows: Iterable[Iterable[Any]]) -> None:
    table = Table(*head)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


_UNITS = {13: "m³", 27: "W", 28: "VA", 29: "var", 30: "Wh", 31: "VAh", 32: "varh", 35: "V"}
