"""`clsbench smgw`: the gateway as a process of its own, and looks into its state."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clsbench.cli.smgw_export import export, month_span, now_ms
from clsbench.clock import BenchClock, given_ms

if TYPE_CHECKING:
    from clsbench.smgw.config import SmgwConfig
    from clsbench.smgw.looking import Look

_FILE = click.Path(path_type=Path)
_HERE = Path("smgw.toml")
_config = click.option("--config", type=_FILE, help=f"TOML file of the gateway [{_HERE}].")
_state = click.option("--state", type=_FILE, help="Its state_dir, instead of --config.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_from = click.option("--from", "from_time", metavar="TIME", help="From this time on (UTC).")
_to = click.option("--to", "to_time", metavar="TIME", help="Before this time (UTC).")


@click.group()
def smgw() -> None:
    """The Smart Meter Gateway emulator."""


smgw.add_command(export)


@smgw.command()
@click.option("--config", default=_HERE, show_default=True, type=_FILE, help="TOML file.")
@click.option("--time-factor", type=click.IntRange(1), help="Legal time runs N times as fast.")
def serve(config: Path, time_factor: int | None) -> None:
    """Run a gateway until SIGTERM; prints one JSON line with its ports when it is ready."""
    from clsbench.roleconfig import log_to_stderr
    from clsbench.smgw.config import load_config

    log_to_stderr("smgw")
    loaded = load_config(config)
    if time_factor is not None:
        if loaded.smgw.clock:
            raise click.UsageError("--time-factor: the configuration sets a clock already")
        section = loaded.smgw.model_copy(update={"clock": BenchClock(time_factor).spec()})
        loaded = loaded.model_copy(update={"smgw": section})
    asyncio.run(_serve(loaded))


@smgw.command()
@_config
@_state
@_json
def status(config: Path | None, state: Path | None, as_json: bool) -> None:
    """How a gateway is: running or not, records, what waits for delivery, logs."""
    from clsbench.cli.smgw_tables import show_status

    _give(_look(config, state).status(), as_json, show_status)


@smgw.command()
@_config
@_state
@_json
def meters(config: Path | None, state: Path | None, as_json: bool) -> None:
    """The meters, each with the latest value of its registers."""
    from clsbench.cli.smgw_tables import show_meters

    _give(_look(config, state).meters(), as_json, show_meters)


@smgw.command()
@_config
@_state
@click.option("--all", "everything", is_flag=True, help="Archived versions too.")
@_json
def profiles(config: Path | None, state: Path | None, everything: bool, as_json: bool) -> None:
    """The profiles with their versions and states."""
    from clsbench.cli.smgw_tables import show_profiles

    _give(_look(config, state).profiles(everything), as_json, show_profiles)


@smgw.command()
@_config
@_state
@click.option("--meter", help="One meter only.")
@click.option("--profile", help="Registers formed by this evaluation profile instead.")
@click.option("--obis", help="One register only, like 1-0:1.8.0.")
@_from
@_to
@click.option("--count", type=click.IntRange(1), help="The newest N of each meter.")
@_json
def readings(
    config: Path | None,
    state: Path | None,
    meter: str | None,
    profile: str | None,
    obis: str | None,
    from_time: str | None,
    to_time: str | None,
    count: int | None,
    as_json: bool,
) -> None:
    """The original list, or what an evaluation profile made of it."""
    from clsbench.cli.smgw_tables import show_derived, show_readings
    from clsbench.smgw.core.readings import full_obis

    look, span = _look(config, state), (_ms(from_time), _ms(to_time))
    register = full_obis(obis) if obis else None
    if profile:
        _give(look.derived(profile, register, span), as_json, show_derived)
    else:
        _give(look.readings(meter, register, span, count), as_json, show_readings)


@smgw.command()
@_config
@_state
@click.option("--log", "name", default="system", help="system, calibration or consumer/NAME.")
@_from
@_to
@click.option("--level", type=click.Choice(["INFO", "WARNING", "ERROR", "FATAL"]))
@click.option("--count", type=click.IntRange(1), default=50, show_default=True)
@_json
def log(
    config: Path | None,
    state: Path | None,
    name: str,
    from_time: str | None,
    to_time: str | None,
    level: str | None,
    count: int,
    as_json: bool,
) -> None:
    """The newest entries of one of the three logs."""
    from clsbench.cli.smgw_tables import show_log

    span = (_ms(from_time), _ms(to_time))
    _give(_look(config, state).log(name, span, level, count), as_json, show_log)


@smgw.command()
@click.option("--config", default=_HERE, show_default=True, type=_FILE, help="TOML file.")
@click.option("--month", required=True, metavar="YYYY-MM", help="A month of local time.")
@click.option("--gaps", type=click.IntRange(0), default=0, help="Due times without a reading.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the simulated load.")
@_json
def seed(config: Path, month: str, gaps: int, seed: int, as_json: bool) -> None:
    """Fill a gateway that is not running with a simulated month of readings."""
    from dataclasses import asdict

    from clsbench.smgw.archive import Archive
    from clsbench.smgw.config import load_config
    from clsbench.smgw.history import ProfileHistory
    from clsbench.smgw.seeding import seed_month
    from clsbench.smgw.store import Store

    span = month_span(month)
    loaded = load_config(config)
    known = loaded.profiles()
    store = Store(loaded.smgw.state())
    try:
        ProfileHistory(store.database).apply(known, now_ms())
        store.remember("smgw-id", known.smgw_id)
        done = seed_month(known, store, Archive(store.database), span, gaps, seed)
    finally:
        store.close()
    if as_json:
        print(json.dumps([asdict(one) for one in done]))
        return
    for one in done:
        print(
            f"{one.meter}: {one.readings} readings of {month}, {one.gaps} gaps, "
            f"{one.registers} registers of tariffs"
        )


def _look(config: Path | None, state: Path | None) -> "Look":
    from clsbench.smgw.config import load_config
    from clsbench.smgw.looking import Look

    if config is not None and state is not None:
        raise click.UsageError("give --config FILE or --state DIR, not both")
    place = state or load_config(config or _HERE).smgw.state()
    look = Look(place, now_ms())
    click.get_current_context().call_on_close(look.close)
    return look


def _give(document: Any, as_json: bool, show: Any) -> None:
    if as_json:
        print(json.dumps(document, ensure_ascii=False))
    else:
        show(document)


def _ms(text: str | None) -> int | None:
    return None if text is None else given_ms(text)


async def _serve(config: "SmgwConfig") -> None:
    from clsbench.roleconfig import run_until_signal
    from clsbench.smgw.service import Gateway

    gateway = Gateway(config)
    await run_until_signal("smgw", gateway, gateway.run_until)
