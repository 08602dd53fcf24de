"""`clsbench smgw`: the gateway as a process of its own."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from clsbench.smgw.config import SmgwConfig


@click.group()
def smgw() -> None:
    """The Smart Meter Gateway emulator."""


@smgw.command()
@click.option("--config", required=True, type=click.Path(path_type=Path), help="TOML file.")
def serve(config: Path) -> None:
    """Run a gateway until SIGTERM; prints one JSON line with its ports when it is ready."""
    from clsbench.roleconfig import log_to_stderr
    from clsbench.smgw.config import load_config

    log_to_stderr("smgw")
    asyncio.run(_serve(load_config(config)))


async def _serve(config: "SmgwConfig") -> None:
    from clsbench.roleconfig import run_until_signal
    from clsbench.smgw.service import Gateway

    gateway = Gateway(config)
    await run_until_signal("smgw", gateway, gateway.run_until)
