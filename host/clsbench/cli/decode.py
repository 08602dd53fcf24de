"""`clsbench decode`: captured bytes through the device's own decoders."""

import click

from clsbench.cli.decode_mbus import mbus, wmbus
from clsbench.cli.decode_modbus import modbus
from clsbench.cli.decode_sml import sml


@click.group()
def decode() -> None:
    """Decode captured bytes with the device's decoder."""


decode.add_command(sml)
decode.add_command(modbus)
decode.add_command(mbus)
decode.add_command(wmbus)
