"""`clsbench meter serve --protocol sml`: plays an SML base meter on a pty or a serial port."""

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clsbench.errors import BadInput, EnvironmentProblem

if TYPE_CHECKING:
    from clsbench.meters.hdlc_meter import HdlcBus
    from clsbench.meters.lmn_meter import CapturePlayer, LmnMeter, Reading
    from clsbench.meters.lmn_responder import LmnResponder
    from clsbench.meters.sml_answer import SmlResponder

_W_MS_OF_A_TENTH = 360_000  # W times ms in 0.1 Wh


@click.command()
@click.option("--port", default="pty", show_default=True, help="Serial port; pty: make a new one.")
@click.option("--baud", type=click.IntRange(300, 1_000_000), default=9600, show_default=True)
@click.option("--meter-id", default="1EMH0098765432", show_default=True, help="DIN 43863-5.")
@click.option("--load", default="6000", show_default=True, help="W, rod[:W] or house.")
@click.option("--start-wh", type=click.IntRange(0), default=1_234_560, show_default=True)
@click.option("--interval-ms", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--faults", default="", help="Text: 'after=10 count=3 kind=crc; ...; repeat'.")
@click.option("--capture", type=click.Path(path_type=Path), help="Play a captured file instead.")
@click.option("--pull", is_flag=True, help="Answer requests instead of pushing.")
@click.option("--link", type=click.Path(path_type=Path), help="Symlink to make to the port.")
def serve_sml(
    port: str,
    baud: int,
    meter_id: str,
    load: str,
    start_wh: int,
    interval_ms: int,
    faults: str,
    capture: Path | None,
    pull: bool,
    link: Path | None,
) -> None:
    """Play an SML meter until SIGTERM or Ctrl-C; prints one JSON line with its port when ready.

    \b
    Fault kinds: silent crc bits truncated noise pin (values as without the owner's PIN).
    Keys: after, count (or forever), keep, bytes; a last "repeat".
    """
    from clsbench.meters.sml_faults import parse_sml_faults

    if capture and (pull or faults):
        raise BadInput("meter serve: a captured file is played as it is: no --pull, no --faults")
    script = parse_sml_faults(faults)
    with opened_port(port, baud) as (meter_port, shown):
        if capture:
            from clsbench.meters.lmn_meter import CapturePlayer

            meter: Any = CapturePlayer(meter_port, capture, interval_ms, baud=baud)
        elif pull:
            meter = _answering(meter_port, baud, meter_id, readings(load, start_wh), script)
        else:
            meter = _pushing(
                meter_port, baud, meter_id, interval_ms, readings(load, start_wh), script
            )
        ready = {"ready": True, "role": "meter", "protocol": "sml", "port": shown, "baud": baud}
        ready |= {"meter_id": None if capture else meter_id, "pull": pull}
        with linked(link, shown):
            play(meter, ready)
    told: dict[str, Any] = {"faults": script.applied}
    if pull:
        told |= {"requests": sum(meter.responder.requests.values())}
        told |= {"refused": meter.responder.refused}
    else:
        told |= {"sent": meter.count, "lost": meter.lost}
    print(f"clsbench meter: {json.dumps(told)}", file=sys.stderr)


def play(
    meter: "LmnMeter | LmnResponder | CapturePlayer | HdlcBus", ready: dict[str, Any]
) -> None:
    """Starts the meter, says so, and stops it at SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    meter.start()
    print(json.dumps(ready), flush=True)
    while not stop.wait(0.2) and meter.running:
        pass
    meter.stop()


def readings(load: str, start_wh: int) -> "Callable[[int], list[Reading]]":
    """Reads a simulated plant at an instant (UTC ms)."""
    from clsbench.clock import BenchClock
    from clsbench.meters.load_spec import FEEDER, plant_of

    plant = plant_of(load, BenchClock().now_ms())

    def read(utc_ms: int) -> "list[Reading]":
        flow = plant.reading(FEEDER, utc_ms)
        return [
            ("1-0:1.8.0*255", 10 * start_wh + flow.energy_w_ms // _W_MS_OF_A_TENTH, -1, 30),
            ("1-0:2.8.0*255", 0, -1, 30),
            ("1-0:16.7.0*255", flow.power_w, 0, 27),
        ]

    return read


def _pushing(
    port: str, baud: int, meter_id: str, interval_ms: int, read: Any, script: Any
) -> "LmnMeter":
    from clsbench.clock import BenchClock
    from clsbench.meters.lmn_meter import LmnMeter

    return LmnMeter(
        port, BenchClock(), meter_id, interval_ms, read_values=read, baud=baud, faults=script
    )


def _answering(port: str, baud: int, meter_id: str, read: Any, script: Any) -> "LmnResponder":
    from clsbench.meters.lmn_responder import LmnResponder

    return LmnResponder(port, responder(meter_id, read), baud, script)


def responder(meter_id: str, read: "Callable[[int], list[Reading]]") -> "SmlResponder":
    """What answers SML requests; read: as `readings` returns it."""
    from clsbench.clock import BenchClock
    from clsbench.meters.device_id import server_id
    from clsbench.meters.lmn_meter import meter_values
    from clsbench.meters.sml_answer import SmlResponder

    clock = BenchClock()
    begun = clock.now_ms()
    return SmlResponder(
        server_id(meter_id),
        lambda: meter_values(meter_id, read(clock.now_ms())),
        lambda: (clock.now_ms() - begun) // 1000,
    )


@contextlib.contextmanager
def opened_port(port: str, baud: int) -> Iterator[tuple[str, str]]:
    """(where the meter writes, where it can be heard); a pty keeps the baud rate."""
    from clsbench.meters.line import SerialLine

    if port != "pty":
        yield port, port
        return
    with SerialLine(baud) as line:
        yield line.a_path, line.b_path


@contextlib.contextmanager
def linked(link: Path | None, target: str) -> Iterator[None]:
    if link is None:
        yield
        return
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    except OSError as error:
        raise EnvironmentProblem(f"link {link}: cannot be made: {error.strerror}") from error
    try:
        yield
    finally:
        link.unlink(missing_ok=True)


def by_protocol(commands: dict[str, click.Command], usual: str) -> click.Command:
    """A command that is one of `commands` as its option --protocol says, else the usual one."""

    class ByProtocol(click.Command):
        def make_context(
            self,
            info_name: str | None,
            args: list[str],
            parent: click.Context | None = None,
            **extra: Any,
        ) -> click.Context:
            rest = list(args)
            name = _take_option(rest, "--protocol") or usual
            if name not in commands:
                raise click.BadParameter(
                    f"'{name}' is none of {', '.join(commands)}", param_hint="--protocol"
                )
            return commands[name].make_context(info_name, rest, parent, **extra)

    shown = commands[usual]
    return ByProtocol(shown.name, help=shown.help, short_help=shown.get_short_help_str(80))


def _take_option(args: list[str], option: str) -> str | None:
    for place, word in enumerate(args):
        if word.startswith(option + "="):
            del args[place]
            return word.partition("=")[2]
        if word == option and place + 1 < len(args):
            name = args[place + 1]
            del args[place : place + 2]
            return name
    return None
