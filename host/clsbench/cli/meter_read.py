"""`clsbench meter read`: reads a meter from this machine with the device's own decoder."""

import itertools
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from clsbench.meters.meter_reader import MeterReader, MeterReadings, Reading


@click.command()
@click.option("--port", required=True, help="Serial port, pty, rfc2217://HOST:PORT or socket://.")
@click.option("--model", required=True, help="Name from `meter list`, or a .toml file.")
@click.option("--unit", type=click.IntRange(1, 247), help="Address; default: the model's, or 1.")
@click.option("--baud", type=click.IntRange(300, 1_000_000), help="Default: the model's, or 9600.")
@click.option("--parity", type=click.Choice(["none", "even", "odd"]), help="Likewise, or none.")
@click.option("--stop-bits", type=click.Choice(["1", "2"]), help="Likewise, or 1.")
@click.option("--obis", "wanted", multiple=True, help="Only this value; may be given again.")
@click.option("--meter", "meter_id", help="What to call the meter; default: its serial number.")
@click.option("--timeout-ms", type=click.IntRange(1, 60_000), default=300, show_default=True)
@click.option("--tries", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option("--watch", is_flag=True, help="Read again and again, a JSON line or table each.")
@click.option("--interval", type=click.FloatRange(0), default=1.0, show_default=True, help="s.")
@click.option("--count", type=click.IntRange(1), help="With --watch: so many rounds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def read(
    port: str,
    model: str,
    unit: int | None,
    baud: int | None,
    parity: str | None,
    stop_bits: str | None,
    wanted: tuple[str, ...],
    meter_id: str | None,
    timeout_ms: int,
    tries: int,
    watch: bool,
    interval: float,
    count: int | None,
    as_json: bool,
) -> None:
    """Read all registers of a meter once, or with --watch until Ctrl-C.

    \b
    JSON: meter, model, port, readings [obis, raw, scaler, unit (DLMS code), value (exact decimal
    text in that unit), captured_ms (UTC)], refused {obis: why}, discarded {reason: number}.
    """
    from clsbench.meters.catalogue import load
    from clsbench.meters.master import Patience, SerialMaster, line_of
    from clsbench.meters.meter_reader import MeterReader

    found = load(model)
    line = line_of(found, baud=baud, parity=parity, stop_bits=int(stop_bits or 0) or None)
    if line.assumed:
        known = ", ".join(line.assumed)
        print(f"clsbench: {found.model}: {known} not known, trying {line}", file=sys.stderr)
    address = unit or found.bus.address or 1
    with SerialMaster(port, line, Patience(timeout_ms, tries)) as master:
        reader = MeterReader(master, found, address, wanted, meter_id)
        if not watch:
            _show(reader, reader.read(), as_json)
            return
        _watch(reader, interval, count, as_json)


def _watch(reader: "MeterReader", interval: float, count: int | None, as_json: bool) -> None:
    """Goes on after a silent round: the meter may come back. The last one decides the outcome."""
    from clsbench.errors import PeerRefused, PeerSilent

    for number in itertools.count(1):
        begin = time.monotonic()
        try:
            _show(reader, reader.read(), as_json)
        except (PeerSilent, PeerRefused) as error:
            if number == count:
                raise
            print(f"clsbench: {error}", file=sys.stderr, flush=True)
        if number == count:
            return
        time.sleep(max(0.0, begin + interval - time.monotonic()))


def _show(reader: "MeterReader", found: "MeterReadings", as_json: bool) -> None:
    if as_json:
        print(json.dumps(_document(reader, found)), flush=True)
        return
    from rich.console import Console
    from rich.table import Column, Table

    table = Table("OBIS", Column("value", justify="right"), "unit")
    for entry in found.values:
        table.add_row(entry.obis, _value(entry), _unit_name(entry.unit))
    for obis, reason in found.refused.items():
        table.add_row(obis, f"none: {reason}", "")
    console = Console(soft_wrap=True)
    console.print(f"{reader.meter_id or reader.model.name}", markup=False, highlight=False)
    console.print(table)
    thrown = {reason: number for reason, number in reader.discarded.items() if number}
    if thrown:
        console.print(f"discarded: {thrown}", markup=False, highlight=False)


def _document(reader: "MeterReader", found: "MeterReadings") -> dict[str, Any]:
    return {
        "meter": reader.meter_id,
        "model": reader.model.model,
        "port": reader.port,
        "unit": reader.unit,
        "readings": [
            {
                "obis": entry.obis,
                "raw": entry.raw,
                "scaler": entry.scaler,
                "unit": entry.unit,
                "value": _value(entry),
                "captured_ms": entry.captured_ms,
            }
            for entry in found.values
        ],
        "refused": found.refused,
        "discarded": reader.discarded,
    }


def _value(entry: "Reading") -> str:
    from clsbench.meters.sml_document import decimal_text

    return decimal_text(entry.raw, entry.scaler)


def _unit_name(code: int) -> str:
    from clsbench.meters.catalogue import UNITS

    names = [name for name, (unit, prefix) in UNITS.items() if unit == code and not prefix]
    return names[0] if names else str(code)
