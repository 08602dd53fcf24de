"""`clsbench status|log|records|switch|time`: work with a DICAMM over its console port."""

import asyncio
import contextlib
import json
import os
import sys
import uuid as uuid_module
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

import click

from clsbench.cli import board_text
from clsbench.device.export import write_records
from clsbench.device.link import LinkClient
from clsbench.device.link_inbox import restarted
from clsbench.device.receive import receive
from clsbench.device.records import (
    DeviceRecord,
    SealBroken,
    check_chain,
    open_record,
    read_unchecked,
)
from clsbench.emt.seal import read_key
from clsbench.errors import PeerRefused
from dicamm import codes

PROTOCOL = 1
FOLLOW_S = 1.0

_port = click.option(
    "--port",
    required=True,
    metavar="PORT",
    help="Serial port, pty, rfc2217://HOST:PORT or socket://HOST:PORT.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _hello_tries() -> int:
    """Four; more where CLSBENCH_START_S says that a board, such as an emulated one, is slow."""
    return max(4, int(os.environ.get("CLSBENCH_START_S", "0")) // 2)


@contextlib.asynccontextmanager
async def _device(port: str) -> AsyncIterator[tuple[LinkClient, dict[str, Any]]]:
    """An open link and the device's hello."""
    link = await LinkClient.open(port)
    try:
        hello = await link.hello(timeout_s=1.5, tries=_hello_tries())
        if hello.get("protocol") != PROTOCOL:
            raise PeerRefused(
                f"DICAMM {hello.get('device_id')} on {port} speaks version "
                f"{hello.get('protocol')} of the bench link, this program version {PROTOCOL}.\n"
                "  Flash the firmware that belongs to this program."
            )
        yield link, hello
    finally:
        await link.close()


@click.command()
@_port
@_json
def status(port: str, as_json: bool) -> None:
    """Shows the state of a DICAMM: relay, transaction, journal, meter, time, heap."""

    async def run() -> None:
        async with _device(port) as (link, hello):
            state = await link.status()
        if as_json:
            error = board_text.code_text(state["meter"]["error"])
            state["meter"]["error_text"] = error if state["meter"]["error"] else ""
            print(json.dumps({"port": port, "device": hello, **state}))
        else:
            print("\n".join(board_text.status_lines(hello, state)))

    asyncio.run(run())


@click.command()
@_port
@_json
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C, through restarts too.")
def log(port: str, as_json: bool, follow: bool) -> None:
    """Shows the log that a DICAMM holds; with --follow also what comes, and its console text.

    With --json one object per line.
    """

    def show(mono_ms: int, code: int, arguments: list[Any]) -> None:
        entry = board_text.log_entry(mono_ms, code, arguments)
        print(json.dumps(entry) if as_json else board_text.log_line(entry), flush=True)

    def show_text(line: str) -> None:
        print(json.dumps({"console": line}) if as_json else f"{'console':>13}  {line}", flush=True)

    with contextlib.suppress(*([KeyboardInterrupt] if follow else [])):  # its ordinary end
        asyncio.run(_log(port, follow, show, show_text))


async def _log(port: str, follow: bool, show: Any, show_text: Any) -> None:
    async with _device(port) as (link, hello):
        for entry in await link.logs():
            show(*entry)
        if not follow:
            return
        link.on_log, link.on_text = show, show_text
        while True:
            await asyncio.sleep(FOLLOW_S)
            before = hello
            # a restarted device sends its log only to a host that has said hello
            hello = await link.hello(timeout_s=2.0, tries=10)
            if restarted(before, hello):
                show_text("-- the device has restarted --")
                link.on_log = None
                for entry in await link.logs():
                    show(*entry)
                link.on_log = show


@click.command()
@_port
@_json
@click.option(
    "--from",
    "first",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of the first record.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each record to DIR as NNNNNN-tafT.cbor, with --key also as .json.",
)
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep them in a data base (SQLite): only what it lacks is fetched, each record once.",
)
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The device's key: checks seals and chain.",
)
@click.option(
    "--ack",
    is_flag=True,
    help="Tell the device that its records are safe in --out or --db, so that they may give "
    "way to new ones (where a gateway fetches them, only what that has acknowledged does).",
)
def records(
    port: str,
    as_json: bool,
    first: int,
    out: Path | None,
    db: Path | None,
    key_file: Path | None,
    ack: bool,
) -> int:
    """Lists, checks and fetches the sealed records of a DICAMM. Exit code 1 on a finding."""
    if ack and ((out is None) == (db is None) or first > 1 or key_file is None):
        raise click.UsageError(
            "--ack says that all records are safe: it needs --out DIR or --db FILE, --key FILE, "
            "and no --from"
        )
    if db is not None and (out is not None or first > 1):
        raise click.UsageError("--db takes what it lacks: it goes without --out and --from")
    key = read_key(key_file) if key_file is not None else None
    if db is not None:
        return asyncio.run(_into_store(port, as_json, db, key, ack))

    async def run() -> int:
        async with _device(port) as (link, hello):
            fetched = await link.records(first)
            found, findings = _open_all(fetched, key)
            if out is not None:
                write_records(out, fetched, found, checked=key is not None)
            if ack and fetched and not findings:
                await link.acknowledge(fetched[-1][0])
        document = {
            "ok": not findings,
            "device_id": hello["device_id"],
            "seal": "checked" if key is not None else "not checked",
            "records": [
                found[seq].document() | {"sealed": found[seq].sealed.hex()}
                for seq in sorted(found)
            ],
            "findings": findings,
            "acknowledged": fetched[-1][0] if ack and fetched and not findings else None,
        }
        print(json.dumps(document) if as_json else "\n".join(board_text.record_lines(document)))
        return 1 if findings else 0

    return asyncio.run(run())


async def _into_store(port: str, as_json: bool, db: Path, key: bytes | None, ack: bool) -> int:
    async with _device(port) as (link, hello):
        result = await receive(link, db, hello["cls_id"], key, ack)
    ok = not result.refused and not result.missing
    if as_json:
        print(json.dumps({"ok": ok, "device_id": hello["device_id"]} | vars(result)))
    else:
        print("\n".join(board_text.received_lines(hello["device_id"], str(db), vars(result))))
    return 0 if ok else 1


def _open_all(
    fetched: list[tuple[int, bytes]], key: bytes | None
) -> tuple[dict[int, DeviceRecord], list[str]]:
    """Records by number, and findings; without a key only what cannot be read at all is one."""
    found: dict[int, DeviceRecord] = {}
    findings = []
    for seq, sealed in fetched:
        try:
            record = open_record(sealed, key) if key is not None else read_unchecked(sealed)
        except SealBroken as error:
            findings.append(f"record {seq}: {error}")
            continue
        if record.seq != seq:
            findings.append(f"record {seq}: is sealed as record {record.seq}")
        found[seq] = record
    return found, findings + (check_chain(found.values()) if key is not None else [])


@click.command()
@click.argument("action", type=click.Choice(["begin", "end", "change"]))
@_port
@_json
@click.option(
    "--uuid",
    type=click.UUID,
    help="Of the transaction; begin and change make one, end takes "
    "the open one. A repeat with the same is not carried out twice.",
)
@click.option("--text", default="", help="Up to 64 bytes, goes into the record.")
def switch(action: str, port: str, as_json: bool, uuid: uuid_module.UUID | None, text: str) -> int:
    """Begins or ends a transaction, or records a change of limit in it. Exit code 1 when the
    device refuses."""

    async def run() -> int:
        async with _device(port) as (link, hello):
            identifier = uuid or await _transaction(link, action, hello["device_id"])
            begun = monotonic()
            code, seq, words = await link.command(
                action, identifier.bytes, text, time_ns() // 1_000_000
            )
            latency_ms = round((monotonic() - begun) * 1000, 1)
        document = {
            "ok": code == codes.OK,
            "action": action,
            "uuid": str(identifier),
            "seq": seq,
            "code": code,
            "text": board_text.code_text(code, words) if code else words,
            "latency_ms": latency_ms,
        }
        if as_json:
            print(json.dumps(document))
        elif code:
            raise PeerRefused(
                f"DICAMM {hello['device_id']} on {port} refused {action} of {identifier}: "
                f"{document['text']}.\n  Its state: clsbench status --port {port}"
            )
        else:
            done = f"{action} {words}" if words else action
            print(f"{done}  uuid {identifier}  record {seq}  after {latency_ms:.0f} ms")
        return 1 if code else 0

    return asyncio.run(run())


async def _transaction(link: LinkClient, action: str, device_id: str) -> uuid_module.UUID:
    """A new UUID for a begin or a change, or that of the open transaction to end."""
    if action != "end":
        return uuid_module.uuid4()
    open_uuid = (await link.status())["open_uuid"]
    if open_uuid is None:
        raise PeerRefused(
            f"DICAMM {device_id} on {link.port} has no open transaction to end.\n"
            "  To repeat the end of an earlier one, name it: --uuid UUID"
        )
    return uuid_module.UUID(open_uuid)


@click.command("time")
@_port
@_json
@click.option("--set", "give", is_flag=True, help="Give the device this machine's UTC.")
@click.option(
    "--bound",
    "bound_ms",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    metavar="MS",
    help="With --set: how far it may be off, on the way included.",
)
def time(port: str, as_json: bool, give: bool, bound_ms: int) -> int:
    """Shows a DICAMM's time against this machine's; with --set gives it UTC.

    For a bench without a gateway: with one, the gateway gives the time. Exit code 1 when the
    device did not take the time, or is further off than it says.
    """

    async def run() -> int:
        async with _device(port) as (link, _hello):
            found = await _compare(link)
            if give:
                await link.set_time(time_ns() // 1_000_000, bound_ms)
                found = await _compare(link) | {"before": found}
        problem = _time_problem(found, bound_ms if give else None)
        if as_json:
            print(json.dumps(found | {"set": give, "ok": not problem, "problem": problem}))
        else:
            print("\n".join(board_text.time_lines(found)))
            if problem:
                print(f"clsbench: {problem}", file=sys.stderr)
        return 1 if problem else 0

    return asyncio.run(run())


async def _compare(link: LinkClient) -> dict[str, Any]:
    """The device's time against ours in the middle of the exchange."""
    sent_ns, begun = time_ns(), monotonic()
    device = (await link.status())["time"]
    took_ms = int((monotonic() - begun) * 1000) + 1
    host_ms = sent_ns // 1_000_000 + took_ms // 2
    known = device["utc_ms"] is not None
    return {
        "state": board_text.time_state(device["state"]),
        "device_utc_ms": device["utc_ms"],
        "host_utc_ms": host_ms,
        "bound_ms": device["bound_ms"],
        "deviation_ms": device["utc_ms"] - host_ms if known else None,
        "uncertainty_ms": took_ms - took_ms // 2,
        "ignored": device["ignored"],
    }


def _time_problem(found: dict[str, Any], given_bound_ms: int | None) -> str:
    """What is wrong, or "". given_bound_ms: of the time just given, None when none was."""
    if given_bound_ms is not None and found["ignored"] > found["before"]["ignored"]:
        return (
            f"the device kept its own time, which it knows within "
            f"{found['before']['bound_ms']} ms: better than the {given_bound_ms} ms offered.\n"
            "  Only if this machine's clock is better than that, say so: --bound MS"
        )
    if found["deviation_ms"] is None:
        return ""
    if abs(found["deviation_ms"]) > found["bound_ms"] + found["uncertainty_ms"]:
        return (
            f"device and machine are {abs(found['deviation_ms'])} ms apart, although the device "
            f"states a bound of {found['bound_ms']} ms.\n"
            "  Is this machine's clock right (timedatectl)? Then give it: --set --bound MS"
        )
    return ""
