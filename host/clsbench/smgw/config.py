"""The gateway's configuration file (TOML): what it may hold, and the profiles made of it.

Paths in it are relative to the file. Every mistake is a BadInput.
"""

from pathlib import Path
from typing import Annotated, Literal

from cryptography import x509
from pydantic import Field

from clsbench import roleconfig
from clsbench.errors import BadInput
from clsbench.pki.names import fingerprint
from clsbench.roleconfig import FilePath, FileText, PkiDir, Strict
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

PeerPort = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
DeviceId = Annotated[str, Field(pattern="^[0-9A-Z]{14}$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class SmgwSection(Strict):
    """The gateway itself. clock: specification of the bench clock, empty = wall clock."""

    id: DeviceId
    state_dir: FilePath
    event_log: FileText = ""
    clock: str = ""
    time_state: Literal["unset", "synchronised", "holdover"] = SYNCHRONISED
    time_bound_ms: int = Field(default=0, ge=0)


class GwaSection(Strict):
    """The administrator and its management port."""

    name: Name
    host: str = "127.0.0.1"
    port: PeerPort


class TimingSection(Strict):
    """Waits in real seconds.

    For a box's answer to a command, for a meter's reading at an event, for a channel to open;
    and the longest pause between two tries to reach a WAN partner.
    """

    command_s: Seconds = 10
    event_s: Seconds = 12
    connect_s: Seconds = 10
    retry_max_s: Seconds = 10


class EmtSection(Strict):
    """A market participant: its channel port, its delivery port, its control boxes."""

    name: Name
    channel_host: str = "127.0.0.1"
    channel_port: PeerPort
    delivery_host: str = "127.0.0.1"
    delivery_port: PeerPort
    cls_ids: list[DeviceId] = []


class LmnSection(Strict):
    """A meter on a serial port. meter_id "*": the first one seen. obis empty: all registers."""

    port: str = Field(min_length=1)
    baud: int = Field(default=9600, ge=300, le=921_600)
    meter_id: str = Field(min_length=1)
    obis: list[str] = []


class TafSection(Strict):
    """A tariff profile: number 7 or 16."""

    id: Name
    number: int
    meter_id: str
    final_consumer: Name
    emt: str
    event_sources: list[str] = []
    wan_source: bool = False


class ClsSection(Strict):
    """A control box. certificate: PEM file; by default that of the PKI directory."""

    cls_id: DeviceId
    certificate: FilePath | None = None


class SmgwConfig(Strict):
    """The whole file."""

    smgw: SmgwSection
    pki: PkiDir
    han: roleconfig.Endpoint = roleconfig.Endpoint()
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
    """The configuration in a file. Raises BadInput naming file, key and remedy."""
    return roleconfig.load_config(path, SmgwConfig)


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
