"""`clsbench emt`: the EMT as a process of its own, and its operator's commands."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from clsbench.cli.board_text import code_text
from clsbench.cli.emt_ask import ask, json_option, socket_option
from clsbench.cli.emt_show import COMMANDS
from clsbench.emt.command_row import MAX_DURATION_S, MAX_LIMIT_W
from clsbench.emt.config import EmtConfig
from clsbench.emt.service import EmtService
from clsbench.roleconfig import load_config, log_to_stderr, run_until_signal

_uuid = click.option(
    "--uuid", help="The transaction; the same one for begin and end. Default: new."
)
_text = click.option("--text", default="", help="Up to 64 bytes that stand in the records.")


@click.group()
def emt() -> None:
    """External market participant: commands out (aEMT), records in (aEMT and pEMT)."""


for each in COMMANDS:
    emt.add_command(each)


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
@socket_option
@click.argument("cls_id")
@click.argument("action", type=click.Choice(["begin", "end", "change"]))
@_uuid
@_text
@json_option
def switch(
    socket: str, cls_id: str, action: str, uuid: str | None, text: str, as_json: bool
) -> int:
    """Begin or end a transaction on CLS_ID, or record a change of limit in it.

    Ends with 1 where the device said no.
    """
    answer = ask(socket, lambda emt: emt.switch(cls_id, action, uuid=uuid, text=text))
    return _tell(action, answer, as_json)


@emt.command()
@socket_option
@click.argument("cls_id")
@click.argument("limit_w", type=click.IntRange(0, MAX_LIMIT_W))
@click.argument("duration_s", type=click.IntRange(1, MAX_DURATION_S))
@click.option("--uuid", help="Of the limit itself, to repeat it. Default: new.")
@_text
@json_option
def limit(
    socket: str,
    cls_id: str,
    limit_w: int,
    duration_s: int,
    uuid: str | None,
    text: str,
    as_json: bool,
) -> int:
    """Limit the open transaction on CLS_ID to LIMIT_W for DURATION_S seconds.

    At most 1000000 W and 604800 s (a week). The box ends the limit by itself, whatever becomes of
    gateway and market. Ends with 1 where the device said no.
    """
    answer = ask(
        socket,
        lambda emt: emt.switch(
            cls_id, "limit", uuid=uuid, text=text, limit_w=limit_w, duration_s=duration_s
        ),
    )
    return _tell(f"limit {limit_w} W for {duration_s} s", answer, as_json)


@emt.command()
@socket_option
@click.argument("cls_id")
@click.argument("event", type=click.Choice(["begin", "end", "change"]))
@_uuid
@_text
@json_option
def event(
    socket: str, cls_id: str, event: str, uuid: str | None, text: str, as_json: bool
) -> None:
    """Cause an external event: the gateway reads its meter and signs; nothing is switched."""
    answer = ask(socket, lambda emt: emt.event(cls_id, event, uuid=uuid, text=text))
    if as_json:
        click.echo(json.dumps(answer))
    else:
        click.echo(f"{event} {answer['uuid']}: gateway record {answer['seq']}")


@emt.command()
@socket_option
@click.argument("smgw_id")
@click.argument("profile")
@json_option
def read(socket: str, smgw_id: str, profile: str, as_json: bool) -> None:
    """Ask SMGW_ID for a reading on demand of its TAF9 or TAF10 PROFILE; it comes as a record."""
    answer = ask(socket, lambda emt: emt.read(smgw_id, profile))
    if as_json:
        click.echo(json.dumps(answer))
    else:
        click.echo(f"{profile}: gateway record {answer['seq']}")


def _tell(what: str, answer: dict[str, Any], as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(answer))
    else:
        code, words = answer["code"], answer["text"]
        verdict = f"done {words}" if code == 0 else f"refused: {code_text(code, words)}"
        click.echo(
            f"{what} {answer['uuid']}: {verdict}".rstrip()
            + f" (record {answer['seq']}, {answer['latency_ms']:.0f} ms)"
        )
    return 0 if answer["code"] == 0 else 1
