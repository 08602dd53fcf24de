"""`clsbench meter`: what the catalogue knows of meters."""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from clsbench.meters.catalogue import MeterModel, Register, load, models

_UNKNOWN = "unknown"


@click.group()
def meter() -> None:
    """Meters with Modbus RTU: which are known, and their registers."""


@meter.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_models(as_json: bool) -> None:
    """List the known meter models."""
    found = [load(name) for name in models()]
    if as_json:
        click.echo(json.dumps({"meters": [_summary(entry) for entry in found]}))
        return
    table = Table(Column("model", no_wrap=True), "name", "phases", "registers", "bus")
    for entry in found:
        count = str(len(entry.registers))
        table.add_row(entry.model, entry.name, str(entry.phases), count, _line(entry))
    Console().print(table)


@meter.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def show(model: str, as_json: bool) -> None:
    """Show the registers of MODEL, and where the facts come from."""
    found = load(model)
    if as_json:
        document = found.model_dump(mode="json", exclude={"registers"})
        document["registers"] = [_facts(entry) for entry in found.registers]
        click.echo(json.dumps(document))
        return
    _print(found)


def _print(found: MeterModel) -> None:
    console = Console()
    console.print(f"{found.model}: {found.name}", highlight=False, markup=False)
    console.print(f"bus as delivered: {_line(found)}", highlight=False)
    limit = found.bus.max_registers or _UNKNOWN
    console.print(
        f"registers of one request: {limit}; unlisted ones read along: {found.bus.max_gap}; "
        f"words of a value: {found.bus.word_order} endian",
        highlight=False,
    )
    table = Table("OBIS", "address", "FC", "type", "unit", "resolution", "scaler", "DLMS unit")
    for entry in found.registers:
        table.add_row(
            entry.obis,
            f"0x{entry.address:04X}",
            str(entry.function),
            entry.type,
            entry.unit,
            f"10^{entry.resolution}{' (assumed)' if entry.resolution_assumed else ''}",
            str(entry.scaler),
            str(entry.dlms_unit),
        )
    console.print(table)
    for note in found.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    console.print(f"source: {found.source}", highlight=False, markup=False)


def _line(found: MeterModel) -> str:
    """`address 1, 9600 8N1`, with `?` for what is not known."""
    bus = found.bus
    if all(value is None for value in (bus.address, bus.baud, bus.parity, bus.stop_bits)):
        return _UNKNOWN
    parity = bus.parity[0].upper() if bus.parity else "?"
    return f"address {bus.address or '?'}, {bus.baud or '?'} 8{parity}{bus.stop_bits or '?'}"


def _summary(found: MeterModel) -> dict[str, Any]:
    return {
        "model": found.model,
        "name": found.name,
        "phases": found.phases,
        "registers": len(found.registers),
        "bus": found.bus.model_dump(mode="json"),
    }


def _facts(entry: Register) -> dict[str, Any]:
    facts = entry.model_dump(mode="json")
    facts["scaler"] = entry.scaler
    facts["dlms_unit"] = entry.dlms_unit
    return facts
