"""`clsbench meter`: what the catalogue knows of meters, and the commands that use it."""

import json
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from clsbench.cli.meter_hdlc import serve_hdlc
from clsbench.cli.meter_mbus import serve_mbus
from clsbench.cli.meter_probe import probe
from clsbench.cli.meter_read import read
from clsbench.cli.meter_serve import serve
from clsbench.cli.meter_sml import by_protocol, serve_sml
from clsbench.meters.catalogue import MeterModel, Register, load, models

_UNKNOWN = "unknown"


@click.group()
def meter() -> None:
    """Meters with Modbus RTU: which are known; play one, read one, find one."""


serve.epilog = (
    "--protocol sml plays an SML base meter, --protocol hdlc one that speaks TLS on the wired "
    "LMN, --protocol mbus wired M-Bus meters: "
    "serve --protocol sml --help"
)
_PROTOCOLS = {"modbus": serve, "sml": serve_sml, "mbus": serve_mbus, "hdlc": serve_hdlc}
for command in (probe, read, by_protocol(_PROTOCOLS, "modbus")):
    meter.add_command(command)


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
    """Show the registers of MODEL (a name, or a .toml file), and where the facts come from."""
    found = load(model)
    if as_json:
        document = found.model_dump(mode="json", exclude={"registers"})
        document["unknown"] = found.unknown
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
            _type(entry),
            entry.unit,
            f"10^{entry.resolution}{' (assumed)' if entry.resolution_assumed else ''}",
            str(entry.scaler),
            str(entry.dlms_unit),
        )
    console.print(table)
    for line in _remarks(found):
        console.print(line, highlight=False, markup=False)


def _type(entry: Register) -> str:
    """`bcd32 x 5/4, little endian`: the type and what only this register has."""
    shown = entry.type
    if entry.factor:
        shown += f" x {entry.factor[0]}/{entry.factor[1]}"
    if entry.word_order:
        shown += f", {entry.word_order} endian"
    if entry.no_value is not None:
        shown += f", no value: {entry.no_value:X}"
    return shown


def _remarks(found: MeterModel) -> Iterator[str]:
    """What stands under the table: how to tell the meter, what is doubtful or unknown."""
    for entry in found.identification:
        known = f" = {entry.expect}" if entry.expect is not None else ""
        length = " (length assumed)" if entry.words_assumed else ""
        note = f"; {entry.note}" if entry.note else ""
        place = (
            f"function {entry.function}, address 0x{entry.address:04X}, {entry.count} registers"
        )
        yield f"identification: {entry.name}{known}: {entry.type}, {place}{length}{note}"
    if found.device_identification:
        yield "identification: answers function 43/14"
    for entry in found.registers:
        if entry.doubt:
            yield f"not confirmed: {entry.obis}: {entry.doubt}"
    for note in found.notes:
        yield f"note: {note}"
    yield f"unknown: {', '.join(found.unknown) or 'nothing that a file can say'}"
    yield f"source: {found.source}"


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
