"""`clsbench meter serve`: plays a meter of the catalogue on a pty or a serial port."""

import json
import signal
import sys
import threading
from pathlib import Path

import click

from clsbench.errors import BadInput, EnvironmentProblem


@click.command()
@click.option("--model", required=True, help="Name from `meter list`, or a .toml file.")
@click.option("--port", default="pty", show_default=True, help="Serial port; pty: make a new one.")
@click.option("--baud", type=click.IntRange(300, 1_000_000), help="Default: the model's, or 9600.")
@click.option("--parity", type=click.Choice(["none", "even", "odd"]), help="Likewise, or none.")
@click.option("--stop-bits", type=click.Choice(["1", "2"]), help="Likewise, or 1.")
@click.option("--unit", type=click.IntRange(1, 247), help="Address; default: the model's, or 1.")
@click.option("--load", default="6000", show_default=True, help="W, rod[:W] or house.")
@click.option("--start-wh", type=click.IntRange(0), default=1_234_560, show_default=True)
@click.option("--set", "fixed", multiple=True, metavar="OBIS=VALUE", help="A value that stands.")
@click.option("--serial-number", type=click.IntRange(0), default=12_345_678, show_default=True)
@click.option("--faults", default="", help="TOML file, or text: 'after=10 count=3 kind=crc; ...'.")
@click.option("--latency-ms", type=click.IntRange(0, 60_000), default=0, help="Before each reply.")
@click.option("--unpaced", is_flag=True, help="Answer at once instead of at the baud rate.")
@click.option("--check-baud", is_flag=True, help="On a pty: deaf to requests at another baud.")
@click.option("--link", type=click.Path(path_type=Path), help="Symlink to make to the port.")
def serve(
    model: str,
    port: str,
    baud: int | None,
    parity: str | None,
    stop_bits: str | None,
    unit: int | None,
    load: str,
    start_wh: int,
    fixed: tuple[str, ...],
    serial_number: int,
    faults: str,
    latency_ms: int,
    unpaced: bool,
    check_baud: bool,
    link: Path | None,
) -> None:
    """Play a meter until SIGTERM or Ctrl-C; prints one JSON line with its port when ready.

    \b
    Fault kinds: bits crc silence slow function unit length truncated echo stray exception.
    Keys: after, count (or forever), ms, code, keep, bits, before, behind; a last "repeat".
    """
    from clsbench.clock import BenchClock
    from clsbench.meters.catalogue import load as load_model
    from clsbench.meters.fault_script import parse_faults
    from clsbench.meters.load_spec import plant_of
    from clsbench.meters.master import line_of
    from clsbench.meters.player import MeterPlayer
    from clsbench.meters.rtu_line import LineSettings, RtuLine, is_pty
    from clsbench.meters.rtu_responder import RtuResponder

    found = load_model(model)
    clock = BenchClock()
    player = MeterPlayer(
        found,
        plant_of(load, clock.now_ms()),
        clock,
        start_wh=start_wh,
        fixed=_pairs(fixed),
        serial_number=serial_number,
    )
    wire = line_of(found, baud=baud, parity=parity, stop_bits=int(stop_bits or 0) or None)
    address = unit or found.bus.address or 1
    settings = LineSettings(
        wire.baud,
        wire.parity,
        wire.stop_bits,
        paced=not unpaced and (port == "pty" or is_pty(port)),
        latency_ms=latency_ms,
        check_baud=check_baud,
    )
    script = parse_faults(faults)
    responder = RtuResponder({address: player})
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with RtuLine(responder, settings, port=port, script=script, link=link) as line:
        ready = {
            "ready": True,
            "role": "meter",
            "model": found.model,
            "port": line.path,
            "unit": address,
            "baud": wire.baud,
            "parity": wire.parity,
            "stop_bits": wire.stop_bits,
            "paced": settings.paced,
        }
        print(json.dumps(ready), flush=True)
        while not stop.wait(0.2) and not line.wait(0):
            pass
        problem = line.problem
    told = {"requests": responder.requests, **line.counts, "discarded": responder.discarded}
    print(f"clsbench meter: {json.dumps({**told, 'faults': script.applied})}", file=sys.stderr)
    if problem:
        raise EnvironmentProblem(f"meter {found.model} on {line.path}: {problem}")


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        obis, equals, value = text.partition("=")
        if not equals:
            raise BadInput(f"--set {text}: OBIS=VALUE is wanted, like 1-0:32.7.0=231.4")
        pairs[obis] = value
    return pairs
