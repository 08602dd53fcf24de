"""`clsbench gwa wake`: one wake-up message, made, signed and sent (or written) as the GWA."""

import json
from pathlib import Path

import click

from clsbench.clock import BenchClock
from clsbench.errors import BadInput
from clsbench.eventlog import EventLog
from clsbench.gwa.config import GwaConfig
from clsbench.gwa.wakeup import WakeUpSender, signing_key
from clsbench.roleconfig import load_config
from clsbench.smgw.core.wakeup import HIGH_FIRST, LOW_FIRST

_ORDERS = {"low": LOW_FIRST, "high": HIGH_FIRST}


@click.command()
@click.option(
    "--config", required=True, type=click.Path(path_type=Path), help="TOML file of this GWA."
)
@click.option("--smgw", "smgw_id", required=True, help="Id of the gateway to wake.")
@click.option(
    "--address", help="udp://HOST:PORT or tcp://HOST:PORT; default: `wakeup` of [[smgw]]."
)
@click.option(
    "--order",
    type=click.Choice(list(_ORDERS)),
    default="low",
    help="Which byte of the time stamp goes first.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the message, send nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def wake(
    config: Path, smgw_id: str, address: str | None, order: str, out: Path | None, as_json: bool
) -> None:
    """Wake a gateway, so that it opens its management connection.

    The gateway does not answer: whether it followed, its system log and the management
    connection tell.
    """
    found = load_config(config, GwaConfig)
    place = address or next((each.wakeup for each in found.smgw if each.id == smgw_id), "")
    if all(each.id != smgw_id for each in found.smgw):
        known = ", ".join(each.id for each in found.smgw) or "none"
        raise BadInput(f"{config}: SMGW '{smgw_id}' is not administered here; known: {known}")
    if not place and out is None:
        raise BadInput(
            f"{config}: no wake-up address of {smgw_id}: give --address, or `wakeup` in its "
            "[[smgw]] section"
        )
    clock = BenchClock.from_spec(found.gwa.clock)
    events = EventLog(found.gwa.event_log or None, clock, f"gwa-wake-{found.gwa.name}")
    try:
        sender = WakeUpSender(signing_key(found.pki), clock, events)
        message = sender.message(smgw_id, _ORDERS[order])
        if out is None:
            sender.send(smgw_id, place, message)
        else:
            out.write_bytes(message)
    finally:
        events.close()
    told = {"smgw_id": smgw_id, "bytes": len(message), "order": _ORDERS[order]}
    told |= {"address": place} if out is None else {"file": str(out)}
    if as_json:
        click.echo(json.dumps(told | {"message": message.hex()}))
    else:
        click.echo(f"{len(message)} bytes for {smgw_id} to {told.get('address', out)}")
