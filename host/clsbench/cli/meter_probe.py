"""`clsbench meter probe`: finds out how to talk to the meter on a line, and which one it is."""

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from clsbench.errors import BadInput, PeerSilent

if TYPE_CHECKING:
    from clsbench.meters.probe import Found, Plan


@click.command()
@click.option("--port", required=True, help="Serial port, pty, rfc2217://HOST:PORT or socket://.")
@click.option("--model", "names", multiple=True, help="Only this model; may be given again.")
@click.option("--address", default="1-247", show_default=True, help="Like 1, 1-32 or 1,5,17-20.")
@click.option("--baud", "bauds", type=click.IntRange(300, 1_000_000), multiple=True)
@click.option("--parity", "parities", type=click.Choice(["none", "even", "odd"]), multiple=True)
@click.option("--timeout-ms", type=click.IntRange(1, 60_000), default=150, show_default=True)
@click.option("--within", type=click.FloatRange(1), default=60, show_default=True, help="s.")
@click.option("--all", "all_units", is_flag=True, help="Go on to the line's other addresses.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def probe(
    port: str,
    names: tuple[str, ...],
    address: str,
    bauds: tuple[int, ...],
    parities: tuple[str, ...],
    timeout_ms: int,
    within: float,
    all_units: bool,
    as_json: bool,
) -> None:
    """Try line settings and addresses, the likely ones first, then ask which meter it is.

    Says first how long it can take. Exit code 1 when nobody answered.

    \b
    JSON: port, bound_s, took_s, tried, of, found [unit, baud, parity, stop_bits, complete,
    candidates [model, name, confirmed, registers, identification {name: text}]].
    """
    from clsbench.meters.catalogue import load, models
    from clsbench.meters.master import Patience, SerialMaster
    from clsbench.meters.probe import Prober, lines_of, make_plan, one_parity
    from clsbench.meters.rtu_line import is_pty

    chosen = [load(name) for name in names or models()]
    lines = lines_of(chosen, bauds, parities)
    if is_pty(port):
        lines = one_parity(lines)
    patience = Patience(timeout_ms, 1)
    plan = make_plan(chosen, lines, _addresses(address), patience)
    bound_s = min(within, plan.bound_ms / 1000)
    begin = time.monotonic()
    found = []
    with SerialMaster(port, lines[0], patience) as master:
        _say(_promise(plan, within), end="\n")
        prober = Prober(
            master, plan, lambda text: _progress(begin, bound_s, text), begin + bound_s
        )
        try:
            found.extend(prober.search(all_units))
        finally:
            _say("", end="\n")
    took_s = time.monotonic() - begin
    if not found:
        raise PeerSilent(
            f"no meter answered on {port}: {prober.tried} of {len(plan.attempts)} combinations of"
            f" line settings and address tried in {took_s:.0f} s.\n"
            "  Check A/B polarity, supply and termination. To search longer: --within "
            f"{plan.bound_ms // 1000 + 1}; a bus of one known setting: --baud, --parity"
        )
    document = {
        "port": port,
        "bound_s": round(bound_s, 1),
        "took_s": round(took_s, 1),
        "tried": prober.tried,
        "of": len(plan.attempts),
        "found": [_entry(entry) for entry in found],
    }
    if as_json:
        print(json.dumps(document))
        return
    _show(port, found)


def _promise(plan: "Plan", within: float) -> str:
    whole_s = plan.bound_ms / 1000
    lines = len({line for line, _ in plan.attempts})
    units = len({unit for _, unit in plan.attempts})
    told = f"{lines} line settings, {units} addresses, {len(plan.models)} models"
    if whole_s <= within:
        return f"{told}: at most {whole_s:.0f} s"
    return f"{told}: the likely ones first, at most {within:.0f} s (all: {whole_s:.0f} s)"


def _progress(begin: float, bound_s: float, text: str) -> None:
    line = f"{time.monotonic() - begin:5.1f} of {bound_s:.0f} s: {text}"
    if sys.stderr.isatty():
        _say(f"\r{line:<78}", end="")
    else:
        _say(line, end="\n")


def _say(text: str, end: str) -> None:
    if text or sys.stderr.isatty():
        print(text, end=end, file=sys.stderr, flush=True)


def _entry(found: "Found") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "unit": found.unit,
        "baud": found.line.baud,
        "parity": found.line.parity,
        "stop_bits": found.line.stop_bits,
        "complete": found.complete,
        "candidates": [asdict(candidate) for candidate in found.candidates],
    }


def _show(port: str, found: "list[Found]") -> None:
    from rich.console import Console
    from rich.table import Column, Table

    table = Table("address", "line", Column("model", no_wrap=True), "confirmed", "says of itself")
    for entry in found:
        at = (str(entry.unit), str(entry.line))
        for candidate in entry.candidates:
            told = ", ".join(f"{key} {text}" for key, text in candidate.identification.items())
            count = f"{candidate.confirmed} of {candidate.registers}"
            table.add_row(*at, candidate.model, count, told)
        if not entry.candidates:
            table.add_row(*at, "none of the catalogue", "", "")
    console = Console(soft_wrap=True)
    console.print(table)
    best = next((entry for entry in found if entry.candidates), None)
    if best is not None:
        model = best.candidates[0].model
        options = f"--unit {best.unit} --baud {best.line.baud} --parity {best.line.parity}"
        line = f"clsbench meter read --port {port} --model {model} {options}"
        console.print(f"next: {line}", markup=False, highlight=False)


def _addresses(text: str) -> list[int]:
    """`1,5,17-20` as numbers from 1 to 247, each once, in the order given."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            numbers = range(int(first), int(last if dash else first) + 1)
        except ValueError as error:
            raise BadInput(f"--address {text}: like 1, 1-32 or 1,5,17-20") from error
        if not numbers or numbers[0] < 1 or numbers[-1] > 247:
            raise BadInput(f"--address {text}: addresses are 1 to 247")
        found.extend(numbers)
    return list(dict.fromkeys(found))
