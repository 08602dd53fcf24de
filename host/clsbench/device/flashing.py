"""Flashing a board from what it is to a DICAMM that runs: steps that can be repeated.

A board on which this was cut off at any instant starts to its REPL or to a whole firmware, and the
same flashing again mends it: a file has its name only when it is whole, main.py comes last, keys
are taken over by the device all or none. Knows the order of the steps; shows nothing.
"""

import ast
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clsbench.device import copying, layout
from clsbench.device.boards import KIB, BoardFacts
from clsbench.device.build import build_firmware, bytecode_bytes
from clsbench.device.copying import DeviceFile, FlashReport, Plan, Progress
from clsbench.device.dicamm_config import DicammConfig
from clsbench.device.flash import RESET
from clsbench.device.modules import needed_slices
from clsbench.device.provision import device_files, ensure_certificate
from clsbench.device.recognise import Found, recognise
from clsbench.device.repl import RawRepl
from clsbench.errors import BadInput
from clsbench.pki.layout import Pki

PARTITION = "dicamm"  # of an ESP32: where its records are

# runs on the board: SHA-256 of each setting it holds; reads as the start does, and writes nothing
_KEPT = """
import hashlib, binascii
try:
    import board
    from dicamm.store.settings_store import SettingsStore
    class R:
        def __init__(self, r):
            self.SECTOR, self.PAGE, self.read = r.SECTOR, r.PAGE, r.read
        def program(self, *_):
            pass
        def erase(self, *_):
            pass
    s = SettingsStore(R(board.settings_flash()))
    for n in s.names():
        v = s.get(n)
        if isinstance(v, bytes):
            print("sha256", binascii.hexlify(hashlib.sha256(v).digest()).decode(), n)
except Exception as e:
    print("none", repr(e))
"""

_PARTITION_SIZE = """
import esp32
p = esp32.Partition.find(esp32.Partition.TYPE_DATA, label={label!r})
print(p[0].info()[3] if p else 0)
"""

# an update over the link that is in force gives way to what comes by cable
_SLOT_0 = """
import os
def _t(p):
    try:
        for e in os.ilistdir(p):
            q = p + "/" + e[0]
            _t(q) if e[1] & 0x4000 else os.remove(q)
        os.rmdir(p)
    except OSError:
        pass
try:
    os.remove("/slots")
except OSError:
    pass
_t("/b")
"""


@dataclass
class Prepared:
    """What a board will get. slices: parts beside the application; provisioned: None where the
    board keeps the settings it has; to_make: what a dry run did not make on the host."""

    found: Found
    slices: list[str]
    firmware: list[DeviceFile]
    provisioned: list[DeviceFile] | None
    notes: list[str] = field(default_factory=list)
    to_make: list[str] = field(default_factory=list)

    @property
    def bytecode(self) -> int:
        """Bytes of all .mpy files."""
        return bytecode_bytes(self.firmware)


@dataclass(frozen=True)
class Outlook:
    """What is on the board and what is to be done. fresh: its storage is laid out anew, with the
    loss of `foreign` files."""

    fresh: bool
    foreign: list[str]
    plan: Plan
    there: dict[str, str]


def prepare(
    found: Found,
    config: DicammConfig | None,
    asked: Sequence[str],
    cache: Path,
    writes: bool = True,
) -> Prepared:
    """Compiles, and makes the keys that are missing on the host (not with writes=False).

    Raises BadInput where configuration and board do not go together.
    """
    facts = found.facts
    settings: dict[str, object] = {}
    notes: list[str] = []
    if config is not None:
        if config.gateway is not None and not (facts.network and facts.tls):
            raise BadInput(
                f"{facts.title}: its image has no network or no TLS. Leave [gateway] out: "
                "the board works on the bench link"
            )
        settings = vars(config.device()) | config.settings
    slices = needed_slices(settings, [*asked, *(config.slices if config else ())])
    firmware = build_firmware(facts.name, cache, slices)
    _check_size(facts, slices, bytecode_bytes(firmware))
    files = None if config is None else _provisioned(config, notes, writes)
    lacking = [] if config is None or writes else _lacking(config)
    return Prepared(found, slices, firmware, files, notes, lacking)


def _check_size(facts: BoardFacts, slices: Sequence[str], size: int) -> None:
    if facts.mpy_kib and size > facts.mpy_kib * KIB:
        raise BadInput(
            f"{facts.title}: {size / KIB:.0f} KiB of bytecode with {', '.join(slices)}; "
            f"at most {facts.mpy_kib} KiB. Leave a part out (--with, slices in dicamm.toml)"
        )


def _provisioned(config: DicammConfig, notes: list[str], writes: bool) -> list[DeviceFile]:
    device = config.device()
    pki = None
    if config.gateway is not None:
        pki = Pki.open(config.gateway.pki)
        if writes and ensure_certificate(pki, device.cls_id):
            notes.append(f"certificate of {device.cls_id} issued in {pki.directory}")
    else:
        notes.append("no gateway: no certificate on the board, time comes from this machine")
    if not writes and _lacking(config):
        return []  # nothing is made in a dry run
    return device_files(device, pki, config.key_file)


def _lacking(config: DicammConfig) -> list[str]:
    """What a flashing with this configuration makes on the host first."""
    found = [] if config.key_file.exists() else [f"{config.key_file} (0600)"]
    gateway, cls_id = config.gateway, config.device().cls_id
    if gateway is not None and cls_id not in Pki.open(gateway.pki).cls_ids:
        found.append(f"a certificate of {cls_id} in {gateway.pki}")
    return [*found, "and the board's settings from it"] if found else []


def look(repl: RawRepl, prepared: Prepared) -> Outlook:
    """What is on the board, without a change to it."""
    facts = prepared.found.facts
    files = list(prepared.firmware)
    state, foreign = layout.FINE, []
    if facts.port == "rp2":
        state, foreign = layout.look(repl, facts)
    elif facts.port == "esp32":
        _check_partition(repl, facts)
    if state == layout.FINE:
        there = copying.present(repl, files)
        files += _new_settings(repl, prepared, there)
        return Outlook(False, [], copying.plan(files, there), there)
    files += prepared.provisioned or []
    return Outlook(True, foreign, copying.plan(files, {}), {})


def write(repl: RawRepl, prepared: Prepared, outlook: Outlook, progress: Progress) -> FlashReport:
    """Carries out what `look` saw, in the same session; the firmware starts with `restart`."""
    facts = prepared.found.facts
    if outlook.fresh:
        state, _ = layout.look(repl, facts)
        layout.lay_out(repl, facts, state)
        copying.present(repl, [])  # brings its tools
    if outlook.plan.changed or outlook.plan.stale:
        repl.run(_SLOT_0)
    return copying.copy(repl, outlook.plan, outlook.there, progress)


def restart(repl: RawRepl) -> None:
    """Hard reset; the port is given back."""
    repl.start(RESET)


def name_of(port: str) -> str:
    """Which board is on a port: its folder in boards/."""
    repl, found = open_board(port, None)
    with repl:
        return found.facts.name


def make_room(port: str, board: str) -> None:
    """Room for records on a board that has none, for those who bring their own files next.

    Raises BadInput where somebody's files would be lost, or a partition is missing.
    """
    repl, found = open_board(port, board)
    with repl:
        if found.facts.port == "esp32":
            _check_partition(repl, found.facts)
        if found.facts.port != "rp2":
            return
        state, foreign = layout.look(repl, found.facts)
        if state == layout.FINE:
            return
        if foreign:
            raise BadInput(
                f"board on {port} holds files of yours: {', '.join(foreign)}.\n"
                "  Room for records means making its file system anew: save them, then take "
                f"them off (mpremote connect {port} fs rm)"
            )
        layout.lay_out(repl, found.facts, state)


def holds_settings(repl: RawRepl) -> bool:
    """Whether a device was provisioned already, as far as its own firmware can tell."""
    return " config.json\n" in repl.run(_KEPT)


def _new_settings(repl: RawRepl, prepared: Prepared, there: dict[str, str]) -> list[DeviceFile]:
    """Provisioning files that the device does not hold already."""
    wanted = prepared.provisioned or []
    if not wanted or "board.mpy" not in there:
        return list(wanted)
    kept = repl.run(_KEPT).split()
    hashes = {kept[at + 2]: kept[at + 1] for at in range(len(kept) - 2) if kept[at] == "sha256"}
    return [each for each in wanted if hashes.get(each[0]) != hashlib.sha256(each[1]).hexdigest()]


def _check_partition(repl: RawRepl, facts: BoardFacts) -> None:
    needed = (facts.record_sectors + facts.settings_sectors) * facts.block_size
    size = ast.literal_eval(repl.run(_PARTITION_SIZE.format(label=PARTITION)).strip())
    if size < needed:
        has = (
            f"a partition '{PARTITION}' of {size} bytes" if size else f"no partition '{PARTITION}'"
        )
        raise BadInput(
            f"board on {repl.port} has {has}; records need one of {needed}.\n"
            f"  Put the image on with it (erases the board): "
            f"clsbench flash --image FILE --board {facts.name} --port {repl.port}"
        )


def open_board(port: str, board: str | None) -> tuple[RawRepl, Found]:
    """An open session with a soft-reset board, recognised."""
    repl = RawRepl(port)
    try:
        repl.enter()
        return repl, recognise(repl, board)
    except BaseException:
        repl.close()
        raise
