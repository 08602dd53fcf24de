"""What the administrator configured: meters, tariff use cases, control boxes, EMTs.

Knows references between profiles and checks them once, when they are loaded. Does not know
where the profiles came from nor what they permit (that is `rights`).
Sources: BSI TR-03109-1 (profiles), FlexMC final report (a TAF16 names its event sources and
whether the market participant may be one, over the WAN).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from clsbench.errors import BadInput

ANY_METER = "*"
TAF_NUMBERS = (7, 16)


@dataclass(frozen=True, slots=True)
class MeterProfile:
    """A meter on the LMN. obis: registers wanted, in full form; empty = all with a unit."""

    meter_id: str
    obis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TafProfile:
    """One tariff use case: TAF7 (quarter-hour series) or TAF16 (readings at events).

    meter_id names a MeterProfile, emt an EmtProfile, event_sources are CLS-IDs (TAF16 only).
    wan_source: the market participant `emt` may cause events over its channel (TAF16 only).
    """

    profile_id: str
    number: int
    meter_id: str
    final_consumer: str
    emt: str
    event_sources: tuple[str, ...] = ()
    wan_source: bool = False


@dataclass(frozen=True, slots=True)
class ClsProfile:
    """A control box; its certificate is pinned. fingerprint: SHA-256 of the DER, lower hex."""

    cls_id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a WAN partner listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class EmtProfile:
    """An external market participant and the control boxes it may reach."""

    name: str
    channel: Endpoint
    delivery: Endpoint
    cls_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profiles:
    """All profiles of one gateway; a value of this type has passed every check.

    Raises BadInput naming the profile and the field when a reference points nowhere, an id
    is used twice, or a field does not belong to the tariff use case.
    """

    smgw_id: str
    meters: tuple[MeterProfile, ...] = ()
    tafs: tuple[TafProfile, ...] = ()
    cls: tuple[ClsProfile, ...] = ()
    emts: tuple[EmtProfile, ...] = ()
    _by_kind: dict[str, dict] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_kind["meter"] = _index("meter", "meter_id", self.meters)
        self._by_kind["taf"] = _index("taf", "profile_id", self.tafs)
        self._by_kind["cls"] = _index("cls", "cls_id", self.cls)
        self._by_kind["emt"] = _index("emt", "name", self.emts)
        for emt in self.emts:
            for cls_id in emt.cls_ids:
                self._require("cls", cls_id, f"emt profile '{emt.name}': cls_ids")
        for taf in self.tafs:
            self._check_taf(taf)

    def meter(self, meter_id: str) -> MeterProfile | None:
        """The profile of the meter with this id (or ANY_METER), if there is one."""
        return self._by_kind["meter"].get(meter_id)

    def taf(self, profile_id: str) -> TafProfile | None:
        """The tariff profile with this id, if there is one."""
        return self._by_kind["taf"].get(profile_id)

    def cls_box(self, cls_id: str) -> ClsProfile | None:
        """The profile of the control box with this CLS-ID, if there is one."""
        return self._by_kind["cls"].get(cls_id)

    def cls_by_fingerprint(self, fingerprint: str) -> ClsProfile | None:
        """The profile that pins this certificate, if there is one."""
        return next((cls for cls in self.cls if cls.fingerprint == fingerprint), None)

    def emt(self, name: str) -> EmtProfile | None:
        """The profile of the market participant with this name, if there is one."""
        return self._by_kind["emt"].get(name)

    def taf7(self) -> tuple[TafProfile, ...]:
        """Every quarter-hour series, in the order configured."""
        return tuple(taf for taf in self.tafs if taf.number == 7)

    def taf16_for(self, cls_id: str) -> tuple[TafProfile, ...]:
        """Every TAF16 profile that names this CLS-ID as its event source, in order."""
        return tuple(t for t in self.tafs if t.number == 16 and cls_id in t.event_sources)

    def _check_taf(self, taf: TafProfile) -> None:
        where = f"taf profile '{taf.profile_id}'"
        if taf.number not in TAF_NUMBERS:
            raise BadInput(f"{where}: number {taf.number} is not one of {TAF_NUMBERS}")
        self._require("meter", taf.meter_id, f"{where}: meter_id")
        self._require("emt", taf.emt, f"{where}: emt")
        for cls_id in taf.event_sources:
            self._require("cls", cls_id, f"{where}: event_sources")
        if taf.number == 7 and (taf.event_sources or taf.wan_source):
            named = "event_sources" if taf.event_sources else "wan_source"
            raise BadInput(f"{where}: {named} belongs to TAF16 only; remove it")
        if taf.number == 16 and not taf.event_sources:
            raise BadInput(f"{where}: event_sources is empty; name at least one CLS-ID")

    def _require(self, kind: str, key: str, where: str) -> None:
        if key not in self._by_kind[kind]:
            known = ", ".join(sorted(self._by_kind[kind])) or "none"
            raise BadInput(f"{where} '{key}' has no {kind} profile; known: {known}")


def _index(kind: str, key: str, profiles: Iterable) -> dict:
    found: dict = {}
    for profile in profiles:
        name = getattr(profile, key)
        if not name:
            raise BadInput(f"{kind} profile: {key} is empty")
        if name in found:
            raise BadInput(f"{kind} profile '{name}': {key} is used twice")
        found[name] = profile
    return found
