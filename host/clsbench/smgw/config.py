"""The gateway's configuration file (TOML): what it may hold, and the profiles made of it.

Paths in it are relative to the file. Every mistake is a BadInput.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography import x509
from pydantic import AfterValidator, Field, model_validator

from clsbench import roleconfig
from clsbench.clock import BenchClock
from clsbench.errors import BadInput
from clsbench.pki.names import fingerprint
from clsbench.roleconfig import FilePath, FileText, PkiDir, Strict
from clsbench.smgw.clock import GatewayClock
from clsbench.smgw.cls.settings import SocksSection
from clsbench.smgw.config_profiles import (
    ClsSection,
    DeviceId,
    EmtSection,
    LmnSection,
    Name,
    PeerPort,
    PersonSection,
    ProxySection,
    TafSection,
    communications,
    consumer_profile,
    emt_profile,
    meter_profile,
    proxy_profile,
    service_profile,
    taf_profile,
)
from clsbench.smgw.config_wan import FIXED, TimeSection, WakeUpSection
from clsbench.smgw.core.clock_state import MAX_DEVIATION_MS, SYNCHRONISED, LegalClock, TimeState
from clsbench.smgw.core.profiles import ClsProfile, Profiles
from clsbench.smgw.han.settings import HanSection
from clsbench.smgw.schema import State
from clsbench.store.database import checked_url

StoreUrl = Annotated[str, AfterValidator(checked_url)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class SmgwSection(Strict):
    """The gateway itself. clock: specification of the bench clock, empty = wall clock.

    Its state is in `state_dir` (SQLite), or in `store`, the URL of a PostgreSQL database.
    """

    id: DeviceId
    state_dir: FilePath | None = None
    store: StoreUrl | None = None
    event_log: FileText = ""
    clock: str = ""
    time_state: Literal["unset", "synchronised", "holdover"] = SYNCHRONISED
    time_bound_ms: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _time_as_claimed(self) -> Self:
        if self.time_state == SYNCHRONISED and self.time_bound_ms >= MAX_DEVIATION_MS:
            raise ValueError(
                f"time_bound_ms {self.time_bound_ms}: from {MAX_DEVIATION_MS} ms on time is not "
                'synchronised; say time_state = "holdover"'
            )
        return self

    @model_validator(mode="after")
    def _one_state(self) -> Self:
        if (self.state_dir is None) == (self.store is None):
            raise ValueError("one of state_dir (SQLite) and store (PostgreSQL) is to be given")
        return self

    def state(self) -> State:
        """Where the gateway's state is."""
        found = self.store or self.state_dir
        if found is None:
            raise LookupError("neither state_dir nor store")
        return found


class GwaSection(Strict):
    """The administrator and its management port.

    management: kept open always, or opened on a wake-up and closed when idle for idle_s.
    content: its messages come plain, or must be enveloped, and are answered so with this suite,
    for the holder of enc_certificate (PEM; by default that of the PKI directory).
    wan_tls_sni: the server name stated to it.
    """

    name: Name
    host: str = "127.0.0.1"
    port: PeerPort
    wan_tls_sni: str = ""
    management: Literal["always", "wake-up"] = "always"
    idle_s: Annotated[float, Field(gt=0, le=172_800)] = 600
    content: Literal["plain", "enveloped"] = "plain"
    suite: Literal["gcm", "cbc-cmac"] = "gcm"
    enc_certificate: FilePath | None = None


class TimingSection(Strict):
    """Waits in real seconds.

    For a box's answer to a command, for a meter's reading at an event, for a channel to open;
    and the longest pause between two tries to reach a WAN partner.
    """

    command_s: Seconds = 10
    event_s: Seconds = 12
    connect_s: Seconds = 10
    retry_max_s: Seconds = 10


class SmgwConfig(Strict):
    """The whole file."""

    smgw: SmgwSection
    pki: PkiDir
    han: HanSection = HanSection()
    gwa: GwaSection
    time: TimeSection = TimeSection()
    wakeup: WakeUpSection | None = None
    timing: TimingSection = TimingSection()
    emt: list[EmtSection] = []
    lmn: list[LmnSection] = []
    taf: list[TafSection] = []
    cls: list[ClsSection] = []
    consumer: list[PersonSection] = []
    service: list[PersonSection] = []
    proxy: list[ProxySection] = []
    socks: SocksSection | None = None

    @model_validator(mode="after")
    def _can_be_woken(self) -> Self:
        if self.gwa.management == "wake-up" and self.wakeup is None:
            raise ValueError('management = "wake-up" needs a [wakeup] section')
        return self

    def profiles(self) -> Profiles:
        """The profiles, references checked. Raises BadInput."""
        return Profiles(
            smgw_id=self.smgw.id,
            meters=tuple(meter_profile(lmn) for lmn in self.lmn),
            tafs=tuple(taf_profile(taf) for taf in self.taf),
            cls=tuple(ClsProfile(c.cls_id, self._pin(c), c.validity()) for c in self.cls),
            emts=tuple(emt_profile(emt) for emt in self.emt),
            communications=communications(self.lmn),
            consumers=tuple(consumer_profile(person, self.smgw.id) for person in self.consumer),
            services=tuple(service_profile(person, self.smgw.id) for person in self.service),
            proxies=tuple(proxy_profile(proxy) for proxy in self.proxy),
        )

    def clock(self) -> GatewayClock:
        """The clock the gateway runs on. Raises BadInput."""
        bench = BenchClock.from_spec(self.smgw.clock)
        if self.time.source == FIXED:
            return GatewayClock(bench, TimeState(self.smgw.time_state, self.smgw.time_bound_ms))
        return GatewayClock(
            bench,
            None,
            LegalClock(self.time.drift_ppm),
            self.time.oscillator_offset_ms,
            self.time.oscillator_drift_ppm,
        )

    def _pin(self, cls: ClsSection) -> str:
        path = cls.certificate or self.pki.dir / f"cls-{cls.cls_id}" / "cls.crt.pem"
        try:
            pem = cls.certificate_pem.encode() or path.read_bytes()
            return fingerprint(x509.load_pem_x509_certificate(pem))
        except (OSError, ValueError) as error:
            path = "certificate_pem" if cls.certificate_pem else path
            raise BadInput(
                f"[[cls]] {cls.cls_id}: certificate {path} cannot be read ({error}). "
                f"Make one with: clsbench pki init --out DIR --cls {cls.cls_id}"
            ) from error


def load_config(path: Path) -> SmgwConfig:
    """The configuration in a file. Raises BadInput naming file, key and remedy."""
    return roleconfig.load_config(path, SmgwConfig)
