"""`clsbench meter serve --protocol mbus`: plays wired M-Bus meters on a pty or a serial port."""

import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clsbench.errors import BadInput

_W_MS_OF_A_WH = 3_600_000
_LAST_ADDRESS = 250
_MAX_TELEGRAMS = 16


@click.command()
@click.option("--port", default="pty", show_default=True, help="Serial port; pty: make a new one.")
@click.option("--baud", type=click.IntRange(300, 38400), default=2400, show_default=True)
@click.option("--address", type=click.IntRange(0, _LAST_ADDRESS), default=1, show_default=True)
@click.option("--identification", default="12345678", show_default=True, help="Eight digits.")
@click.option("--manufacturer", default="EMH", show_default=True, help="Three letters.")
@click.option("--meters", type=click.IntRange(1, _LAST_ADDRESS), default=1, show_default=True)
@click.option("--telegrams", type=click.IntRange(1, _MAX_TELEGRAMS), default=1, show_default=True)
@click.option("--load", default="6000", show_default=True, help="W, rod[:W] or house.")
@click.option("--start-wh", type=click.IntRange(0), default=1_234_560, show_default=True)
@click.option("--faults", default="", help="Text: 'after=10 count=3 kind=checksum; ...; repeat'.")
@click.option("--link", type=click.Path(path_type=Path), help="Symlink to make to the port.")
def serve_mbus(
    port: str,
    baud: int,
    address: int,
    identification: str,
    manufacturer: str,
    meters: int,
    telegrams: int,
    load: str,
    start_wh: int,
    faults: str,
    link: Path | None,
) -> None:
    """Play M-Bus meters until SIGTERM or Ctrl-C; prints one JSON line with the port when ready.

    They answer by primary and by secondary address and keep the frame count bit. Of several
    --meters each has the next address and the next identification; --telegrams: of one reading.

    \b
    Fault kinds (of the first meter): silent checksum deaf slow error noise.
    Keys: after, count (or forever), ms, code, bytes; a last "repeat".
    """
    from clsbench.cli.meter_sml import linked, opened_port
    from clsbench.meters.mbus_encode import secondary_address
    from clsbench.meters.mbus_faults import parse_mbus_faults
    from clsbench.meters.mbus_meter import MbusMeter, MbusSlaves

    if not identification.isdecimal() or len(identification) != 8:
        raise BadInput(f"--identification {identification}: eight digits are wanted")
    if address + meters - 1 > _LAST_ADDRESS:
        raise BadInput(f"--meters {meters} from address {address} on go beyond {_LAST_ADDRESS}")
    script = parse_mbus_faults(faults)
    read = _records(load, start_wh, telegrams)
    slaves = [
        MbusMeter(
            address + number,
            secondary_address(
                f"{(int(identification) + number) % 10**8:08}", manufacturer, 1, _ELECTRICITY
            ),
            read,
            script if number == 0 else None,
        )
        for number in range(meters)
    ]
    with (
        opened_port(port, baud) as (meter_port, shown),
        linked(link, shown),
        MbusSlaves(meter_port, slaves, baud),
    ):
        ready = {"ready": True, "role": "meter", "protocol": "mbus", "port": shown, "baud": baud}
        ready |= {"addresses": [slave.address for slave in slaves]}
        _wait(ready | {"secondary": [slave.secondary.hex() for slave in slaves]})
    told = {"readings": sum(slave.served for slave in slaves), "faults": script.applied}
    print(f"clsbench meter: {json.dumps(told)}", file=sys.stderr)


_ELECTRICITY = 2


def _wait(ready: dict[str, Any]) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(json.dumps(ready), flush=True)
    while not stop.wait(0.2):
        pass


def _records(load: str, start_wh: int, telegrams: int) -> Callable[[], list[bytes]]:
    """Energy and power in the first telegram, the energy of earlier days in further ones."""
    from clsbench.clock import BenchClock
    from clsbench.meters.load_spec import FEEDER, plant_of
    from clsbench.meters.mbus_encode import bcd, integer, value_information

    clock = BenchClock()
    plant = plant_of(load, clock.now_ms())
    wh, watts = value_information(30, 0), value_information(27, 0)

    def read() -> list[bytes]:
        flow = plant.reading(FEEDER, clock.now_ms())
        energy_wh = start_wh + flow.energy_w_ms // _W_MS_OF_A_WH
        first = integer(energy_wh, 4, wh) + integer(flow.power_w, 4, watts)
        further = (bcd(start_wh // day, 6, wh, storage=day - 1) for day in range(2, telegrams + 1))
        return [first, *further]

    return read
