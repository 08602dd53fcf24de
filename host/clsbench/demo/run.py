"""Runs the demo: chain up, scenario, evidence, checks, files, verdict."""

import asyncio
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clsbench.bench.chain import Chain, ChainOptions
from clsbench.bench.observer import DeviceObserver, log_load
from clsbench.bench.plant import BUS_BAUD, LMN_BAUD
from clsbench.demo.checks import Check, Evidence, run_checks
from clsbench.demo.evidence import GatewayRecord
from clsbench.demo.scenario import Outcome, run_scenario
from clsbench.demo.workspace import Workspace
from clsbench.device.records import obis_text
from clsbench.errors import BadInput, PeerSilent
from clsbench.eventlog import EventReader
from clsbench.meters.sml_second_reader import frames
from clsbench.smgw.core import cms

_DELIVERY_S = 15.0
_REPLY_BYTES = 17  # request and reply of a two-register read
_TELEGRAM_BYTES = 300
_MACHINE_MS = 20  # real time a busy machine may hold a reading back
_IMPORT_ADDRESS = 0x0048


@dataclass
class DemoOptions:
    """What the command line offers; see `clsbench demo --help`."""

    out: Path
    speed: int = 150
    scenario: str = "plant"
    capture: Path | None = None
    heap: str = "384k"


@dataclass
class DemoResult:
    """Evidence and verdicts, before they are written out."""

    evidence: Evidence
    checks: list[Check]
    options: DemoOptions
    names: dict[str, str]


def prepare(options: DemoOptions) -> Workspace:
    """Checks the capture and makes the output folder anew. Raises BadInput."""
    if options.capture is not None and not frames(_capture_bytes(options.capture)):
        raise BadInput(
            f"--lmn-capture {options.capture}: holds no whole SML telegram with a good checksum; "
            "`clsbench decode sml FILE` shows what is in it"
        )
    return Workspace.prepare(options.out)


async def run_demo(
    options: DemoOptions, space: Workspace, say: Callable[[str], None]
) -> DemoResult:
    """Runs the whole demo in a prepared workspace. say: shows a line of progress."""
    chain = Chain(
        space.work,
        space.events,
        ChainOptions(
            speed=options.speed,
            scenario=options.scenario,
            capture=options.capture,
            heap=options.heap,
        ),
    )
    observer = DeviceObserver(chain.board.path, b"", chain.events)
    try:
        say("making the test SM-PKI, starting GWA, aEMT, SMGW, meters and the board")
        await chain.start()
        observer.key = chain.key_file.read_bytes()
        hello = await observer.start()
        say(f"DICAMM {hello['device_id']} runs firmware {hello['version']} on MicroPython")
        await observer.wait_ready()
        outcome = await run_scenario(chain, observer)
        say("waiting until the aEMT holds every record")
        evidence = await _gather(chain, observer, outcome)
        checks = run_checks(evidence)
        for check in checks:
            chain.events.event(
                "operator",
                "operator",
                "check",
                check.name,
                ok=check.ok,
                detail={"text": check.detail},
            )
    finally:
        await observer.stop()
        await chain.close()
    return DemoResult(evidence, checks, options, vars(chain.names) | {})


async def _gather(chain: Chain, observer: DeviceObserver, outcome: Outcome) -> Evidence:
    device = await observer.collect()
    gateway, delivered = await _delivered(chain, {record.seq for record in device})
    log_load(chain.events, chain.plant)
    trust = chain.pki.wan_trust.read_bytes()
    speed = chain.options.speed
    wire_ms = _REPLY_BYTES * 10_000 // BUS_BAUD + _TELEGRAM_BYTES * 10_000 // LMN_BAUD
    commands = await chain.operator.commands()
    return Evidence(
        device=device,
        broken=observer.broken,
        gateway=gateway,
        outcome=outcome,
        key=observer.key,
        delivered=delivered,
        served_dwh=_served_dwh(chain),
        history=[(t_ms, closed, power_w) for t_ms, closed, power_w in chain.plant.plant.history()],
        max_power_w=chain.plant.plant.max_power_w("mid"),
        latency_ms=(wire_ms + _MACHINE_MS) * speed,
        relay_latencies_ms=_relay_latencies(chain, commands),
        verify_cms=lambda der: cms.verify(der, trust, role="SMGW"),
        house_dwh=chain.plant.house_dwh if chain.options.scenario == "house" else None,
        capture_values=_capture_values(chain.options.capture),
    )


async def _delivered(
    chain: Chain, wanted: set[int]
) -> tuple[list[GatewayRecord], dict[int, bytes]]:
    """What the aEMT holds, once it holds all device records; what there is after a while."""
    deadline = asyncio.get_running_loop().time() + _DELIVERY_S
    while True:
        held = {
            entry["seq"]: bytes.fromhex(entry["sealed"])
            for entry in await chain.operator.device_records()
        }
        gateway = [
            GatewayRecord(entry["content"], bytes.fromhex(entry["cms"]))
            for entry in await chain.operator.records()
        ]
        late = asyncio.get_running_loop().time() > deadline
        if late or (wanted <= set(held) and _all_there(gateway, chain)):
            return gateway, held
        await asyncio.sleep(0.2)


def _all_there(gateway: list[GatewayRecord], chain: Chain) -> bool:
    """True when every record the SMGW says it made has arrived."""
    made = {
        (event["detail"]["profile_id"], event["detail"]["seq"])
        for event in EventReader(chain.events_path).poll()
        if event["kind"] == "record"
        and event["lane_from"] == "SMGW"
        and event["ok"]
        and "profile_id" in event["detail"]
        and "seq" in event["detail"]
    }
    return made <= {(r.content["profile_id"], r.content["seq"]) for r in gateway}


def _served_dwh(chain: Chain) -> set[int]:
    """Import registers the meter sent, decoded from the bytes with `struct` (0.01 kWh = 100)."""
    found = set()
    for served in chain.plant.meter.served():
        payload = bytes.fromhex(served.payload_hex)
        at = (_IMPORT_ADDRESS - served.address) * 2
        if 0 <= at <= len(payload) - 4:
            kwh = struct.unpack_from(">f", payload, at)[0]
            found.add(round(kwh * 100) * 100)
    return found


def _relay_latencies(chain: Chain, commands: list[dict[str, Any]]) -> list[float]:
    """Real milliseconds from each answered command to the edge of the relay pin it caused."""
    wall_ns = time.time_ns() - time.monotonic_ns()  # the aEMT stamps with the wall's clock
    edges = [
        (event["detail"]["mono_ns"] + wall_ns, event["detail"]["closed"])
        for event in EventReader(chain.events_path).poll()
        if event["name"] in ("relay.closed", "relay.opened")
    ]
    found = []
    for command in commands:
        if command.get("t_command_ns") is None or command.get("code") != 0:
            continue
        closes = command["action"] == "begin"
        after = [t for t, closed in edges if closed == closes and t >= command["t_command_ns"]]
        if after:
            found.append((min(after) - command["t_command_ns"]) / 1e6)
    if not found:
        raise PeerSilent("no relay edge followed any command")
    return found


def _capture_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"--lmn-capture {path}: {error.strerror}") from error


def _capture_values(path: Path | None) -> list[set[tuple[str, int, int, int]]] | None:
    """For each good telegram of the capture, by the second reader: its numeric values."""
    if path is None:
        return None
    return [
        {
            (
                obis_text(bytes.fromhex(entry["obis"])),
                entry["raw"],
                entry["scaler"] or 0,
                entry["unit"],
            )
            for entry in frame["entries"]
            if isinstance(entry["raw"], int) and entry["unit"] is not None
        }
        for frame in frames(_capture_bytes(path))
    ]
