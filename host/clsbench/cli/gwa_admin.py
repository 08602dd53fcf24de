"""`clsbench gwa profiles|connect|disconnect|logs|version|status|renew|acts`: orders to a GWA.

Each goes to a running GWA by its operator socket.
"""

import asyncio
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clsbench.cli.smgw_tables import plainly, show_table
from clsbench.clock import given_ms, iso
from clsbench.errors import BadInput
from clsbench.net.operator import OperatorAsker

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_PEM = "certificate"
_KINDS_SHOWN = ("meter", "communication")  # what the gateway makes of [[lmn]]
_LOGS = ("system", "calibration")
_LEVELS = ("INFO", "WARNING", "ERROR", "FATAL")


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--socket or --config, --smgw, --json."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
        click.option("--smgw", "smgw_id", default="", help="Gateway; default: the only one."),
        click.option("--config", type=_FILE, help="TOML file of the GWA, instead of --socket."),
        click.option("--socket", help="Operator socket of the running GWA."),
    ):
        command = option(command)
    return command


@click.group()
def profiles() -> None:
    """Profiles of a gateway: put, list, show, remove."""


@profiles.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@_options
def put(
    files: tuple[Path, ...], socket: str | None, config: Path | None, smgw_id: str, as_json: bool
) -> None:
    """Put the profiles of FILES (TOML or JSON), all or none of them.

    A file holds sections as smgw.toml has them: [[taf]], [[emt]], [[lmn]], [[cls]], [[consumer]],
    [[service]], [[proxy]]. A profile of the same name is replaced, and its version kept.
    """
    put: dict[str, list[Any]] = {}
    for path in files:
        for kind, sections in sections_in(path).items():
            put.setdefault(kind, []).extend(sections)
    if not any(put.values()):
        raise BadInput(f"{', '.join(map(str, files))}: holds no profile such as [[taf]]")
    body = {"smgw_id": smgw_id, "put": put, "remove": []}
    try:
        found = _ask(socket, config, "POST", "/profiles", body)
    except BadInput as error:
        raise BadInput(f"{', '.join(map(str, files))}: {error}") from error
    _tell_changes(found, as_json)


@profiles.command()
@click.argument("kind")
@click.argument("name")
@_options
def remove(
    kind: str, name: str, socket: str | None, config: Path | None, smgw_id: str, as_json: bool
) -> None:
    """Take the profile KIND NAME away; its versions stay readable (list --all)."""
    body = {"smgw_id": smgw_id, "put": {}, "remove": [[kind, name]]}
    _tell_changes(_ask(socket, config, "POST", "/profiles", body), as_json)


@profiles.command("list")
@click.option("--all", "everything", is_flag=True, help="Archived versions too.")
@_options
def list_(
    everything: bool, socket: str | None, config: Path | None, smgw_id: str, as_json: bool
) -> None:
    """The profiles in force, ready or running."""
    found = _profiles(socket, config, smgw_id, everything)
    if as_json:
        return _json(found)
    show_table(
        ("kind", "name", "version", "from", "to", "since", "archived"),
        [
            (
                each["kind"],
                each["name"],
                each["version"],
                _time(_validity(each).get("from_ms") or None),
                _time(_validity(each).get("to_ms")),
                _time(each["applied_ms"]),
                _time(each["archived_ms"]),
            )
            for each in found
        ],
    )
    return None


@profiles.command()
@click.argument("kind")
@click.argument("name")
@click.option("--version", "number", type=int, help="This version; default: the newest.")
@_options
def show(
    kind: str,
    name: str,
    number: int | None,
    socket: str | None,
    config: Path | None,
    smgw_id: str,
    as_json: bool,
) -> None:
    """One profile, field by field."""
    from clsbench.smgw.administered import KINDS

    versions = [
        each
        for each in _profiles(socket, config, smgw_id, True)
        if (each["kind"], each["name"]) == (kind, name) and number in (None, each["version"])
    ]
    if not versions and kind not in (kinds := (*KINDS, *_KINDS_SHOWN)):
        raise BadInput(f"kind {kind}: must be one of {', '.join(kinds)}")
    if not versions:
        raise BadInput(f"{kind} '{name}': no such profile; see: clsbench gwa profiles list --all")
    found = versions[-1]
    if as_json:
        return _json(found)
    rows = [(key, json.dumps(value)) for key, value in found["content"].items()]
    head = [("version", found["version"]), ("archived", _time(found["archived_ms"]))]
    show_table(("field", "value"), head + rows)
    return None


@click.command()
@click.argument("emt")
@_options
def connect(
    emt: str, socket: str | None, config: Path | None, smgw_id: str, as_json: bool
) -> None:
    """Order the channel to the market participant EMT; the order stands until disconnect."""
    _order("/connect", emt, socket, config, smgw_id, as_json)


@click.command()
@click.argument("emt")
@_options
def disconnect(
    emt: str, socket: str | None, config: Path | None, smgw_id: str, as_json: bool
) -> None:
    """End the channel to the market participant EMT, and the order for it."""
    _order("/disconnect", emt, socket, config, smgw_id, as_json)


@click.command()
@click.option("--log", default="system", show_default=True, help="system or calibration.")
@click.option("--from", "from_time", metavar="TIME", help="From this time on (UTC).")
@click.option("--to", "to_time", metavar="TIME", help="Before this time (UTC).")
@click.option("--level", type=click.Choice(_LEVELS), help="This level and graver ones.")
@click.option("--count", type=click.IntRange(1, 1000), default=50, show_default=True)
@_options
def logs(
    log: str,
    from_time: str | None,
    to_time: str | None,
    level: str | None,
    count: int,
    socket: str | None,
    config: Path | None,
    smgw_id: str,
    as_json: bool,
) -> None:
    """The newest entries of the gateway's system or calibration log, oldest first."""
    if log not in _LOGS and not log.startswith("consumer/"):  # which the gateway refuses
        raise BadInput(f"log {log}: must be one of {', '.join(_LOGS)}")
    query = {"smgw_id": smgw_id, "log": log, "count": count, "level": level}
    query |= {"from": _ms(from_time), "to": _ms(to_time)}
    found = _ask(socket, config, "GET", "/logs", query=query)["entries"]
    if as_json:
        return _json(found)
    names = ("number", "t_ms", "level", "event", "outcome", "subject", "message")
    rows = [[_time(each[n]) if n == "t_ms" else each[n] for n in names] for each in found]
    show_table(("no.", "time", *names[2:]), rows)
    return None


@click.command()
@_options
def version(socket: str | None, config: Path | None, smgw_id: str, as_json: bool) -> None:
    """Versions of the gateway's firmware."""
    found = _ask(socket, config, "GET", "/version", query={"smgw_id": smgw_id})
    if as_json:
        return _json(found)
    show_table(("component", "version", "checksum"), [each.values() for each in found["firmware"]])
    return None


@click.command()
@_options
def status(socket: str | None, config: Path | None, smgw_id: str, as_json: bool) -> None:
    """How the gateway is: time, channels, meters, what waits for delivery."""
    found = _ask(socket, config, "GET", "/status", query={"smgw_id": smgw_id})
    if as_json:
        return _json(found)
    show_table(("what", "is"), [(key, plainly(key, value)) for key, value in found.items()])
    return None


@click.command()
@_options
def renew(socket: str | None, config: Path | None, smgw_id: str, as_json: bool) -> None:
    """Order new keys and certificates for the gateway; new connections take them."""
    found = _ask(socket, config, "POST", "/renew", {"smgw_id": smgw_id})["renewed"]
    if as_json:
        return _json(found)
    show_table(
        ("certificate", "of", "serial number", "before"), [_renewed(each) for each in found]
    )
    return None


@click.command()
@click.option("--count", type=click.IntRange(1), default=50, show_default=True)
@_options
def acts(count: int, socket: str | None, config: Path | None, smgw_id: str, as_json: bool) -> None:
    """What this administrator did, newest last."""
    found = _ask(socket, config, "GET", "/acts", query={"count": count})["acts"]
    found = [each for each in found if smgw_id in ("", each["smgw_id"])]
    if as_json:
        return _json(found)
    shown = ("t_ms", "act", "smgw_id", "ok")
    show_table(
        ("time", "act", "gateway", "done", "what"),
        [
            (
                _time(each["t_ms"]),
                each["act"],
                each["smgw_id"],
                "yes" if each["ok"] else "no",
                ", ".join(
                    f"{key}: {plainly(key, each[key])}"
                    for key in each
                    if key not in shown and each[key]
                ),
            )
            for each in found
        ],
    )
    return None


COMMANDS = (profiles, connect, disconnect, logs, version, status, renew, acts)


def sections_in(path: Path) -> dict[str, list[Any]]:
    """The sections of a TOML or JSON file, checked field by field; certificates read in.

    Raises BadInput naming file, section and key.
    """
    from clsbench.smgw.administered import check_sections

    try:
        text = path.read_text("utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise BadInput(f"{path}: is not {kind}: {error}") from error
    if not isinstance(content, dict):
        raise BadInput(f"{path}: holds no sections such as [[taf]]")
    content = json.loads(json.dumps(content, default=_plain))
    try:
        check_sections(content)
    except BadInput as error:
        lines = [f"{path}: {line.strip()}" for line in str(error).split("\n")]
        raise BadInput("\n  ".join(lines)) from error
    for section in content.get("cls", []):
        if name := section.pop(_PEM, None):
            section["certificate_pem"] = _pem(path, name)
    return content


def _pem(path: Path, name: str) -> str:
    try:
        return (path.parent / name).read_text("ascii")
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: key {_PEM}: {name} cannot be read: {error}") from error


def _plain(value: Any) -> str:
    """Dates and times of TOML as text."""
    return value.isoformat()


def _profiles(
    socket: str | None, config: Path | None, smgw_id: str, everything: bool
) -> list[dict[str, Any]]:
    query = {"smgw_id": smgw_id, "all": int(everything)}
    return _ask(socket, config, "GET", "/profiles", query=query)["profiles"]


def _order(
    path: str, emt: str, socket: str | None, config: Path | None, smgw_id: str, as_json: bool
) -> None:
    found = _ask(socket, config, "POST", path, {"smgw_id": smgw_id, "emt_id": emt})
    if as_json:
        return _json(found)
    click.echo(f"channel of {found['smgw_id']} to {found['emt_id']}: {found['state']}")
    return None


def _tell_changes(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return _json(found)
    for change in found["changes"] or ["nothing differs from what is in force"]:
        click.echo(change)
    return None


def _ask(
    socket: str | None,
    config: Path | None,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    query: dict[str, Any] | None = None,
) -> Any:
    async def asked() -> Any:
        async with OperatorAsker("gwa", place) as operator:
            return await operator.ask(method, path, body, query)

    place = _socket(socket, config)
    return asyncio.run(asked())


def _socket(socket: str | None, config: Path | None) -> str:
    from clsbench.gwa.config import GwaConfig
    from clsbench.roleconfig import load_config

    if (socket is None) == (config is None):
        raise click.UsageError("give --socket PATH or --config gwa.toml")
    if socket is not None:
        return socket
    assert config is not None
    found = load_config(config, GwaConfig).gwa.operator_socket
    if not found:
        raise BadInput(f"{config}: key gwa.operator_socket is missing: add it")
    return found


def _validity(version: dict[str, Any]) -> dict[str, Any]:
    return version["content"].get("validity") or {}


def _renewed(each: dict[str, Any]) -> tuple[str, ...]:
    return each["file"], each["cn"], each["serial"], each["before"]


def _json(found: Any) -> None:
    click.echo(json.dumps(found, ensure_ascii=False))


def _time(at_ms: int | None) -> str:
    return "" if at_ms is None else iso(at_ms)


def _ms(text: str | None) -> int | None:
    return None if text is None else given_ms(text)
