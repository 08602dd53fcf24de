"""`clsbench meter serve --protocol hdlc`: plays a base meter of the wired LMN, with TLS."""

import json
import sys
from pathlib import Path

import click

from clsbench.cli.meter_sml import linked, opened_port, play, readings, responder


@click.command()
@click.option("--port", default="pty", show_default=True, help="Serial port; pty: make a new one.")
@click.option("--baud", type=click.IntRange(300, 1_000_000), default=921_600, show_default=True)
@click.option("--meter-id", default="1EMH0098765432", show_default=True, help="DIN 43863-5.")
@click.option("--address", type=click.IntRange(3, 126), default=3, show_default=True)
@click.option("--certificate", type=click.Path(path_type=Path), required=True, help="The meter's.")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="Its private key.")
@click.option("--gateway", type=click.Path(path_type=Path), required=True, help="Pinned.")
@click.option("--load", default="6000", show_default=True, help="W, rod[:W] or house.")
@click.option("--start-wh", type=click.IntRange(0), default=1_234_560, show_default=True)
@click.option("--link", type=click.Path(path_type=Path), help="Symlink to make to the port.")
def serve_hdlc(
    port: str,
    baud: int,
    meter_id: str,
    address: int,
    certificate: Path,
    key: Path,
    gateway: Path,
    load: str,
    start_wh: int,
    link: Path | None,
) -> None:
    """Play a base meter that answers SML in TLS in HDLC, until SIGTERM or Ctrl-C.

    Certificates for both sides: clsbench pki lmn --out DIR --id SMGW-ID --id METER-ID.
    """
    from clsbench.meters.hdlc_meter import HdlcBus, HdlcMeter
    from clsbench.net.tls import Identity, lmn_server

    context = lmn_server(Identity(certificate, key), gateway)
    answers = responder(meter_id, readings(load, start_wh))
    meter = HdlcMeter(address, context, answers)
    with opened_port(port, baud) as (meter_port, shown):
        ready = {"ready": True, "role": "meter", "protocol": "hdlc", "port": shown, "baud": baud}
        ready |= {"meter_id": meter_id, "address": address}
        with linked(link, shown):
            play(HdlcBus(meter_port, [meter], baud), ready)
    told = {"sessions": meter.sessions, "refused": meter.failed}
    told |= {"requests": sum(answers.requests.values())}
    print(f"clsbench meter: {json.dumps(told)}", file=sys.stderr)
