"""The gateway's configuration file (TOML): what it may hold, and the profiles made of it.

Paths in it are relative to the file. Every mistake is a BadInput naming file, key and remedy.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clsbench.errors import BadInput
from clsbench.pki.names import fingerprint
from clsbench.smgw.core.profiles import (
    ClsProfile,
    EmtProfile,
    Endpoint,
    MeterProfile,
    Profiles,
    TafProfile,
)
from clsbench.smgw.core.readings import full_obis
from clsbench.smgw.core.records import SYNCHRONISED, TimeState

Port = Annotated[int, Field(ge=0, le=65535)]
PeerPort = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
DeviceId = Annotated[str, Field(pattern="^[0-9A-Z]{14}$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SmgwSection(_Section):
    """The gateway itself. clock: specification of the bench clock, empty = wall clock."""

    id: DeviceId
    state_dir: Path
    event_log: str = ""
    clock: str = ""
    time_state: Literal["unset", "synchronised", "holdover"] = SYNCHRONISED
    time_bound_ms: int = Field(default=0, ge=0)


class PkiSection(_Section):
    """Where `clsbench pki init` put keys and certificates."""

    dir: Path


class HanSection(_Section):
    """Where the gateway listens for control boxes; port 0 = any free one."""

    host: str = "127.0.0.1"
    port: Port = 0


class GwaSection(_Section):
    """The administrator and its management port."""

    name: Name
    host: str = "127.0.0.1"
    port: PeerPort


class TimingSection(_Section):
    """Waits in real seconds: box answering a command, meter giving a reading, channel opening."""

    command_s: Seconds = 10
    event_s: Seconds = 12
    connect_s: Seconds = 10


class EmtSection(_Section):
    """A market participant: its channel port, its delivery port, its control boxes."""

    name: Name
    channel_host: str = "127.0.0.1"
    channel_port: PeerPort
    delivery_host: str = "127.0.0.1"
    delivery_port: PeerPort
    cls_ids: list[DeviceId] = []


class LmnSection(_Section):
    """A meter on a serial port. meter_id "*": the first one seen. obis empty: all registers."""

    port: str = Field(min_length=1)
    baud: int = Field(default=9600, ge=300, le=921_600)
    meter_id: str = Field(min_length=1)
    obis: list[str] = []


class TafSection(_Section):
    """A tariff profile: number 7 or 16."""

    id: Name
    number: int
    meter_id: str
    final_consumer: Name
    emt: str
    event_sources: list[str] = []
    wan_source: bool = False


class ClsSection(_Section):
    """A control box. certificate: PEM file; by default that of the PKI directory."""

    cls_id: DeviceId
    certificate: Path | None = None


class SmgwConfig(_Section):
    """The whole file."""

    smgw: SmgwSection
    pki: PkiSection
    han: HanSection = HanSection()
    gwa: GwaSection
    timing: TimingSection = TimingSection()
    emt: list[EmtSection] = []
    lmn: list[LmnSection] = []
    taf: list[TafSection] = []
    cls: list[ClsSection] = []

    def profiles(self) -> Profiles:
        """The profiles, references checked. Raises BadInput."""
        return Profiles(
            smgw_id=self.smgw.id,
            meters=tuple(meter_profile(lmn) for lmn in self.lmn),
            tafs=tuple(_taf(taf) for taf in self.taf),
            cls=tuple(ClsProfile(cls.cls_id, self._pin(cls)) for cls in self.cls),
            emts=tuple(_emt(emt) for emt in self.emt),
        )

    def time_state(self) -> TimeState:
        """The state of legal time that the configuration claims."""
        return TimeState(self.smgw.time_state, self.smgw.time_bound_ms)

    def _pin(self, cls: ClsSection) -> str:
        path = cls.certificate or self.pki.dir / f"cls-{cls.cls_id}" / "cls.crt.pem"
        try:
            return fingerprint(x509.load_pem_x509_certificate(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise BadInput(
                f"[[cls]] {cls.cls_id}: certificate {path} cannot be read ({error}). "
                f"Make one with: clsbench pki init --out DIR --cls {cls.cls_id}"
            ) from error


def load_config(path: Path) -> SmgwConfig:
    """The configuration in a file, paths resolved. Raises BadInput."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}. Give the file with --config FILE") from error
    except ValueError as error:
        raise BadInput(f"{path}: no TOML: {error}") from error
    try:
        config = SmgwConfig.model_validate(content)
    except ValidationError as error:
        raise BadInput(_explain(path, error)) from error
    base = path.resolve().parent
    config.smgw.state_dir = base / config.smgw.state_dir
    config.pki.dir = base / config.pki.dir
    if config.smgw.event_log:
        config.smgw.event_log = str(base / config.smgw.event_log)
    for cls in config.cls:
        cls.certificate = base / cls.certificate if cls.certificate else None
    return config


def meter_profile(lmn: LmnSection) -> MeterProfile:
    """The meter profile of an LMN section. Raises BadInput."""
    return MeterProfile(lmn.meter_id, tuple(full_obis(text) for text in lmn.obis))


def _taf(taf: TafSection) -> TafProfile:
    return TafProfile(
        profile_id=taf.id,
        number=taf.number,
        meter_id=taf.meter_id,
        final_consumer=taf.final_consumer,
        emt=taf.emt,
        event_sources=tuple(taf.event_sources),
        wan_source=taf.wan_source,
    )


def _emt(emt: EmtSection) -> EmtProfile:
    return EmtProfile(
        name=emt.name,
        channel=Endpoint(emt.channel_host, emt.channel_port),
        delivery=Endpoint(emt.delivery_host, emt.delivery_port),
        cls_ids=tuple(emt.cls_ids),
    )


def _explain(path: Path, error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"]) or "file"
        remedy = "remove it" if problem["type"] == "extra_forbidden" else "correct it"
        if problem["type"] == "missing":
            remedy = "add it"
        lines.append(f"{path}: {place}: {problem['msg']}; {remedy}")
    return "\n  ".join(lines)
