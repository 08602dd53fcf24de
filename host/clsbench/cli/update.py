"""`clsbench update`: a new version onto a running DICAMM, with a trial and the way back."""

import asyncio
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from clsbench.device import update as steps
from clsbench.device.build import BY_SETTING, build_firmware
from clsbench.device.link import LinkClient
from clsbench.device.modules import needed_slices
from clsbench.device.update_manifest import Manifest, make_manifest, version_of_now
from clsbench.emt.seal import read_key
from clsbench.errors import PeerSilent

WHY = {
    "bus": "the meter was not read",
    "relay": "the relay did not read back as open",
    "journal": "no record could be made",
    "time": "time was not synchronised",
    "reset": "the watchdog bit",
    "power": "power was lost in both of its starts",
    "error": "it did not start",
}


@click.command()
@click.option(
    "--port",
    required=True,
    metavar="PORT",
    help="Serial port, pty, rfc2217://HOST:PORT or socket://HOST:PORT.",
)
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(path_type=Path),
    help="The device's key of the seals, as provisioning left it on the host.",
)
@click.option(
    "--version",
    type=click.IntRange(1, 10**15),
    help="Number of the version; must rise. Default: seconds since 1970.",
)
@click.option(
    "--with", "asked", multiple=True, metavar="PART", help="As for flash: a part besides."
)
@click.option("--no-time", is_flag=True, help="A gateway gives the time, not this host.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def update(
    port: str,
    key_file: Path,
    version: int | None,
    asked: tuple[str, ...],
    no_time: bool,
    as_json: bool,
) -> int:
    """Puts this version of the firmware onto a running DICAMM.

    It goes into the slot that does not run, is checked there, and is tried: good once bus, relay,
    journal and time have passed, otherwise the old version is back by itself. Records stay.
    Interrupted, it is begun again with the same command. Exit code 1 when it was taken back.
    """
    key = read_key(key_file)
    number = version_of_now() if version is None else version
    result = asyncio.run(_update(port, key, number, asked, not no_time))
    good = result["state"]["version"] == number
    if as_json:
        print(json.dumps({"good": good, **result}))
    elif good:
        print(f"version {number} is in force ({result['sent']} of {result['files']} files sent)")
    else:
        why, before = result["state"]["why"], result["state"]["version"]
        print(
            f"version {number} was taken back: {WHY.get(why, why)}; "
            f"{f'version {before}' if before else 'what came by cable'} runs. "
            f"See: clsbench log --port {port}"
        )
    return 0 if good else 1


async def _update(
    port: str, key: bytes, version: int, asked: tuple[str, ...], set_time: bool
) -> dict[str, Any]:
    parts = needed_slices({}, [*BY_SETTING, *asked])
    link = await LinkClient.open(port)
    try:
        board = (await link.hello())["board"]
        with tempfile.TemporaryDirectory(prefix="clsbench-update-") as folder:
            files = build_firmware(board, Path(folder), parts)
        manifest = make_manifest(board, version, files, key)
        sent = await _stage(link, manifest)
        # an answer lost in the restart is no failure: what became of it is asked next
        with contextlib.suppress(PeerSilent):
            await steps.start_trial(link)
    finally:
        await link.close()
    print("clsbench: restarted, on trial for up to 120 s", file=sys.stderr)
    state = await steps.outcome(port, version, set_time)
    return {"sent": sent, "files": len(manifest.paths), "state": vars(state)}


async def _stage(link: LinkClient, manifest: Manifest) -> int:
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    quiet = not console.is_terminal  # a CI job's log takes no bar
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet) as bars:
        bar = bars.add_task("files", total=sum(map(len, manifest.contents)))
        return await steps.stage(link, manifest, lambda n: bars.advance(bar, n))
