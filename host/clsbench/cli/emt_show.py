"""`clsbench emt records|transactions|verify|steps|status`: what an EMT holds, for people."""

import json
from pathlib import Path
from typing import Any

import click

from clsbench.cli.emt_ask import ask, json_option, socket_option
from clsbench.clock import iso
from clsbench.errors import BadInput

_TAF = click.Choice([f"taf{number}" for number in (1, 2, 6, 7, 9, 10, 14, 16)])
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@socket_option
@click.option("--device", is_flag=True, help="Sealed device records instead of the gateway's.")
@click.option("--uuid", help="Of this transaction only.")
@click.option("--type", "kind", type=_TAF, metavar="TAF", help="Only taf7, taf9, taf10, ...")
@click.option("--count", type=click.IntRange(1), help="The newest N.")
@json_option
def records(
    socket: str, device: bool, uuid: str | None, kind: str | None, count: int | None, as_json: bool
) -> None:
    """The records received and verified so far."""
    found = ask(socket, lambda emt: emt.device_records() if device else emt.records())
    found = [
        row
        for row in found
        if uuid in (None, row["uuid"]) and (device or kind in (None, row["type"]))
    ][-(count or 0) :]
    if as_json:
        click.echo(json.dumps({"records": found}))
    elif device:
        names = ("cls_id", "seq", "event", "uuid", "received_ms", "seal_checked")
        rows = [[_time(r[n]) if n == "received_ms" else r[n] or "" for n in names] for r in found]
        _table(("box", "no.", "event", "transaction", "received", "seal checked"), rows)
    else:
        head = ("gateway", "profile", "no.", "type", "captured", "event", "value", "transaction")
        _table(head, [_gateway_row(row) for row in found])


@click.command()
@socket_option
@click.option("--uuid", help="This one only.")
@json_option
def transactions(socket: str, uuid: str | None, as_json: bool) -> int:
    """Every transaction with its state and its energy by both witnesses.

    Exit code 1 where one is unknown, or complete for one witness alone.
    """
    from clsbench.emt.transactions import energy_text, transactions

    async def everything(emt: Any) -> Any:
        return await emt.commands(), await emt.records(), await emt.device_records()

    found = transactions(*ask(socket, everything))
    if uuid is not None:
        found = [one for one in found if one["uuid"] == uuid.lower()]
        if not found:
            raise BadInput(f"uuid {uuid}: no transaction of this EMT")
    if as_json:
        click.echo(json.dumps({"transactions": found}))
    else:
        rows = [
            (
                one["cls_id"],
                one["uuid"],
                one["state"],
                _time(one["begun_ms"]),
                _time(one["ended_ms"]),
                energy_text(one["gateway"]),
                energy_text(one["device"]),
            )
            for one in found
        ]
        head = ("box", "transaction", "state", "begin", "end", "gateway", "box's meter")
        _table(head, rows)
    ended = [one for one in found if one["ended_ms"] is not None]
    return int(any(o["witnesses"] != 2 for o in ended) or any(_lost(one) for one in found))


@click.command()
@click.option("--config", required=True, type=_FILE, help="TOML file of this EMT.")
@click.option("--running", is_flag=True, help="The last transaction may be open still.")
@json_option
def verify(config: Path, running: bool, as_json: bool) -> int:
    """Verify everything in the EMT's store: signatures, seals, chains, sequences.

    Keys and authorities are those of the configuration. Exit code 1 with any finding.
    """
    from clsbench.cli.verify import show_verdict
    from clsbench.device.signed import read_public_key
    from clsbench.device.verify import verify_items
    from clsbench.device.verify_store import database_items
    from clsbench.emt.config import EmtConfig
    from clsbench.emt.seal import read_key
    from clsbench.emt.signed import cms_verifier
    from clsbench.roleconfig import load_config

    loaded = load_config(config, EmtConfig)
    groups = database_items(str(loaded.emt.state_dir / "emt.sqlite"))
    keys = [read_key(entry.key_file) for entry in loaded.cls if entry.key_file]
    signing = [entry.sign_key_file for entry in loaded.cls if entry.sign_key_file]
    signers = (
        [read_public_key(path) for path in signing] if len(signing) == len(loaded.cls) else []
    )
    verdict = verify_items(groups, keys, cms_verifier(loaded.pki), running, signers)
    if as_json:
        click.echo(json.dumps(verdict.document()))
    else:
        show_verdict(verdict)
    return 0 if verdict.ok else 1


@click.command()
@click.argument("events", type=_FILE, nargs=-1, required=True)
@click.option("--uuid", help="This transaction only.")
@json_option
def steps(events: tuple[Path, ...], uuid: str | None, as_json: bool) -> None:
    """The seven steps of each switching in the event logs EVENTS.

    Give the logs of aEMT, GWA and gateway where each has one of its own. Where the channel stood
    already, the steps that had opened it are shown as "earlier".
    """
    from clsbench.eventlog import read_events
    from clsbench.steps import EARLIER, steps_of

    told = steps_of(event for path in events for event in read_events(path))
    wanted = None if uuid is None else uuid.lower()
    found = {key: its for key, its in told.items() if wanted in (None, key)}
    if wanted is not None and not found:
        raise BadInput(f"{', '.join(map(str, events))}: no step of {uuid}; known: {len(told)}")
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = []
    for key, its in found.items():
        first = its[0]["t_ns"]
        for step in its:
            detail = step["detail"]
            rows.append(
                (
                    key,
                    detail["step"],
                    detail["what"],
                    f"{step['lane_from']} > {step['lane_to']}",
                    "earlier" if EARLIER in step else f"{(step['t_ns'] - first) / 1e6:.0f} ms",
                    "ok" if step["ok"] else "no",
                    _more(detail),
                )
            )
    _table(("transaction", "step", "what", "who", "after", "", "more"), rows)


@click.command()
@socket_option
@json_option
def status(socket: str, as_json: bool) -> None:
    """Role, open channels and numbers stored."""
    found = ask(socket, lambda emt: emt.status())
    if as_json:
        click.echo(json.dumps(found))
        return
    kind = "pEMT" if found["role"] == "passive" else "aEMT"
    click.echo(f"{kind} {found['name']}: channels {', '.join(found['channels']) or 'none'}")
    click.echo(f"  CLS channels: {', '.join(found['cls_channels']) or 'none'}")
    for name, number in found["stored"].items():
        click.echo(f"  {name}: {number}")


COMMANDS = (records, transactions, verify, steps, status)


def _gateway_row(row: dict[str, Any]) -> tuple[Any, ...]:
    content = row["content"]
    value = next(iter(content.get("values") or []), None)
    return (
        row["smgw_id"],
        row["profile_id"],
        row["seq"],
        row["type"],
        _time(content.get("captured_ms")),
        content.get("event") or content.get("source") or "",
        "" if value is None else f"{value['obis']} {value['raw']}e{value['scaler']}",
        row["uuid"] or "",
    )


def _lost(one: dict[str, Any]) -> bool:
    return one["state"] == "unknown"


def _more(detail: dict[str, Any]) -> str:
    shown = ("step", "what")
    known = ((key, detail[key]) for key in detail if key not in shown)
    return ", ".join(f"{key} {_plainly(told)}" for key, told in known if told not in (None, ""))


def _plainly(told: Any) -> str:
    return {True: "yes", False: "no"}[told] if isinstance(told, bool) else str(told)


def _time(at_ms: int | None) -> str:
    return "-" if at_ms is None else iso(at_ms)


def _table(head: tuple[str, ...], rows: Any) -> None:
    from clsbench.cli.smgw_tables import show_table

    show_table(head, rows)
