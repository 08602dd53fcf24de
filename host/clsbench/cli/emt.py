"""`clsbench emt`: the aEMT as a process of its own, and its operator's commands."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from clsbench.clock import iso
from clsbench.emt.config import EmtConfig
from clsbench.emt.operator import OperatorClient
from clsbench.emt.service import EmtService
from clsbench.roleconfig import load_config, log_to_stderr, run_until_signal

_socket = click.option("--socket", required=True, help="The aEMT's operator socket.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.group()
def emt() -> None:
    """Active external market participant: commands out, records in."""


@emt.command()
@click.option(
    "--config", required=True, type=click.Path(path_type=Path), help="TOML file of this aEMT."
)
def serve(config: Path) -> None:
    """Serve until SIGTERM; prints one ready line with the ports on stdout."""
    log_to_stderr("emt")
    asyncio.run(_serve(load_config(config, EmtConfig)))


async def _serve(config: EmtConfig) -> None:
    await run_until_signal("emt", EmtService(config))


@emt.command()
@_socket
@click.argument("cls_id")
@click.argument("action", type=click.Choice(["begin", "end", "change"]))
@click.option("--uuid", help="The transaction; the same one for begin and end. Default: new.")
@click.option("--text", default="", help="Up to 64 bytes that stand in the records.")
@_json
def switch(
    socket: str, cls_id: str, action: str, uuid: str | None, text: str, as_json: bool
) -> int:
    """Begin or end a transaction on CLS_ID, or record a change of limit in it.

    Ends with 1 where the device said no.
    """
    answer = _ask(socket, lambda operator: operator.switch(cls_id, action, uuid=uuid, text=text))
    if as_json:
        click.echo(json.dumps(answer))
    else:
        verdict = "done" if answer["code"] == 0 else f"refused with code {answer['code']}"
        click.echo(
            f"{action} {answer['uuid']}: {verdict} {answer['text']}".rstrip()
            + f" (record {answer['seq']}, {answer['latency_ms']:.0f} ms)"
        )
    return 0 if answer["code"] == 0 else 1


@emt.command()
@_socket
@_json
def records(socket: str, as_json: bool) -> None:
    """The gateway records received and verified so far."""
    found = _ask(socket, lambda operator: operator.records())
    if as_json:
        click.echo(json.dumps({"records": found}))
        return
    for row in found:
        content = row["content"]
        captured_ms = content.get("captured_ms")
        captured = "-" if captured_ms is None else iso(captured_ms)
        click.echo(
            f"{row['smgw_id']} {row['profile_id']} {row['seq']} {row['type']} {captured}"
            f" {content.get('event') or ''} {row['uuid'] or ''}".rstrip()
        )


@emt.command()
@_socket
@_json
def status(socket: str, as_json: bool) -> None:
    """Open channels and numbers stored."""
    found = _ask(socket, lambda operator: operator.status())
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"aEMT {found['name']}: channels {', '.join(found['channels']) or 'none'}")
    for name, number in found["stored"].items():
        click.echo(f"  {name}: {number}")


def _ask(socket: str, question: Callable[[OperatorClient], Awaitable[Any]]) -> Any:
    async def ask() -> Any:
        async with OperatorClient(socket) as operator:
            return await question(operator)

    return asyncio.run(ask())
