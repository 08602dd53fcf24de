"""A result in words and tables, for people."""

from typing import Any

from rich.console import Console
from rich.table import Table

from clsbench.settlement.by_time import Misbooked

_MAX_DOUBTS = 40


def show_result(result: dict[str, Any], picture: str = "") -> None:
    """Prints a result: transactions, groups and days, picture, doubts, policies."""
    console = Console(highlight=False)
    scaler = result["unit_scaler"]
    if result["mode"] == "storage_split":
        _month(console, result["month"], scaler)
    else:
        _transactions(console, result["transactions"], scaler)
        _days(console, result["days"], scaler)
        if picture:
            console.print(picture, markup=False, soft_wrap=True)
            console.print()
        _totals(console, result)
    _doubts(console, result["findings"])
    told = ", ".join(f"{name}={value}" for name, value in result["policy"].items())
    console.print(f"Policies: {told or 'none apply'}")


def show_by_time(found: list[Misbooked], result: dict[str, Any]) -> None:
    """Says what sharing by time would have booked elsewhere; silent where nothing was switched."""
    for each in found:
        if each.of_transactions:
            share = each.wrong * 1000 // each.of_transactions
            print(
                f"Shared by time instead, {kwh(each.wrong, result['unit_scaler'])} kWh "
                f"{each.direction} would stand in another group ({share // 10}.{share % 10} % of "
                "what the transactions took)"
            )


def kwh(energy: int | None, scaler: int) -> str:
    """Exact kWh; a dash where there is none."""
    if energy is None:
        return "-"
    power = scaler - 3
    if power >= 0:
        return str(energy * 10**power)
    digits = str(abs(energy)).rjust(1 - power, "0")
    return f"{'-' if energy < 0 else ''}{digits[:power]}.{digits[power:]}"


def _transactions(console: Console, transactions: list[dict[str, Any]], scaler: int) -> None:
    if not transactions:
        console.print("No transaction touches the window.\n")
        return
    names = sorted({name for one in transactions for name in one["energy"]}, reverse=True)
    table = Table("transaction", "group", "state", title="Transactions", title_justify="left")
    for name in names:
        table.add_column(f"{name} kWh", justify="right")
    for one in transactions:
        energies = [kwh(one["energy"].get(name), scaler) for name in names]
        table.add_row(one["uuid"], one["group"], one["state"].replace("_", " "), *energies)
    console.print(table)


def _days(console: Console, days: list[dict[str, Any]], scaler: int) -> None:
    table = Table("day", "direction", "group", title="Groups by day", title_justify="left")
    table.add_column("kWh", justify="right")
    table.add_column("quarter hours", justify="right")
    table.add_column("missing", justify="right")
    for day in days:
        for name in ("import", "export"):
            if name not in day:
                continue
            of = day[name]
            table.add_row(
                day["date"],
                name,
                "all",
                kwh(of["total"], scaler),
                str(of["slots"]),
                str(of["missing"]),
            )
            for group, energy in of["groups"].items():
                table.add_row("", "", group, kwh(energy, scaler), "", "")
    console.print(table)


def _totals(console: Console, result: dict[str, Any]) -> None:
    for name, groups in result["totals"].items():
        told = ", ".join(f"{g} {kwh(e, result['unit_scaler'])}" for g, e in groups.items())
        drift = result["market_drift_kwh"].get(name, "0")
        console.print(
            f"Total {name}: {told or 'none'} kWh; quarter hours rounded one by one differ by "
            f"{drift} kWh"
        )


def _month(console: Console, month: dict[str, str | None], scaler: int) -> None:
    table = Table("formula", "value", title=f"Storage split, energies in 10^{scaler} Wh")
    for name, value in month.items():
        table.add_row(name, "-" if value is None else value)
    console.print(table)


def _doubts(console: Console, findings: list[dict[str, Any]]) -> None:
    if not findings:
        console.print("No doubts.")
        return
    console.print(f"Doubts: {len(findings)}")
    for each in findings[:_MAX_DOUBTS]:
        where = ", ".join(
            str(each[key]) for key in ("at", "direction", "uuid", "place") if each[key]
        )
        value = "" if each["reading"] is None else f" (value {each['reading']})"
        console.print(f"  {each['code']}: {each['text']}{value}", markup=False, soft_wrap=True)
        console.print(f"      {where}. Rule {each['rule']}.", markup=False, soft_wrap=True)
        console.print(f"      What to do: {each['remedy']}.", markup=False, soft_wrap=True)
    if len(findings) > _MAX_DOUBTS:
        console.print(f"  and {len(findings) - _MAX_DOUBTS} more; --json shows all")
