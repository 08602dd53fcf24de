"""`clsbench gwa`: the gateway administrator as a process of its own."""

import asyncio
from pathlib import Path

import click

from clsbench.cli.gwa_admin import COMMANDS
from clsbench.cli.gwa_wake import wake
from clsbench.gwa.config import GwaConfig
from clsbench.gwa.service import GwaService
from clsbench.roleconfig import load_config, log_to_stderr, run_until_signal


@click.group()
def gwa() -> None:
    """Gateway administrator: management connections, profiles, channel orders."""


@gwa.command()
@click.option(
    "--config", required=True, type=click.Path(path_type=Path), help="TOML file of this GWA."
)
def serve(config: Path) -> None:
    """Serve until SIGTERM; prints one ready line with the ports on stdout."""
    log_to_stderr("gwa")
    asyncio.run(_serve(load_config(config, GwaConfig)))


for each in (wake, *COMMANDS):
    gwa.add_command(each)


async def _serve(config: GwaConfig) -> None:
    await run_until_signal("gwa", GwaService(config))
