"""`clsbench smgw`: the gateway as a process of its own."""

import asyncio
import json
import signal
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
    from clsbench.smgw.service import Gateway

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(config)
    try:
        ports = await gateway.start()
        print(json.dumps({"ready": True, "role": "smgw", "ports": ports}), flush=True)
        await gateway.run_until(stop)
    finally:
        await gateway.close()
