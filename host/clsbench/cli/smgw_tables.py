"""Tables of a gateway's state for the terminal."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clsbench.clock import iso

PIPE_WIDTH = 200


def show_status(found: dict[str, Any]) -> None:
    """Of `clsbench smgw status`."""
    running = "running" if found["running"] else "not running"
    print(f"{found['smgw_id'] or 'gateway without a name yet'}: {running}, {found['state_dir']}")
    print(f"{found['meters']} meters, {found['undelivered']} deliveries waiting")
    show_table(("profile", "records", "last number"), (list(r.values()) for r in found["records"]))
    show_table(("log", "first", "last"), (list(entry.values()) for entry in found["logs"]))


def show_meters(found: list[dict[str, Any]]) -> None:
    """Of `clsbench smgw meters`."""
    show_table(
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
    show_table(
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
    show_table(
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
    show_table(
        ("from", "to", "register", "value", "PTB"),
        ((row["start"], row["end"], row["obis"], _value(row), row["ptb"]) for row in found),
    )


def show_log(found: list[dict[str, Any]]) -> None:
    """Of `clsbench smgw log`."""
    show_table(
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


def show_table(head: tuple[str, ...], rows: Iterable[Iterable[Any]]) -> None:
    """A table; not narrowed where it is not for a terminal."""
    table = Table(*head)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def plainly(key: str, value: Any) -> str:
    """A value of a status or an act for people: times as times, what is listed a line each."""
    if key.endswith("_ms") and key not in ("bound_ms",) and isinstance(value, int):
        return iso(value)
    if isinstance(value, dict):
        told = (
            plainly(name, each) if isinstance(each, dict) else f"{name}: {plainly(name, each)}"
            for name, each in value.items()
        )
        return ", ".join(told) or "none"
    if isinstance(value, list):
        return "\n".join(plainly("", each) for each in value) or "none"
    return "none" if value is None else str(value)


_UNITS = {13: "m³", 27: "W", 28: "VA", 29: "var", 30: "Wh", 31: "VAh", 32: "varh", 35: "V"}
