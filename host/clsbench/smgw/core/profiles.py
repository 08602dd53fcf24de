"""All profiles the administrator configured, with the references between them checked once.

Does not know where the profiles came from nor what they permit (that is `rights`).
Sources: BSI TR-03109-1 (profiles), FlexMC final report (a TAF16 names its event sources and
whether the market participant may be one, over the WAN).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from clsbench.errors import BadInput
from clsbench.smgw.core.evaluation import TAF_NUMBERS, TafProfile
from clsbench.smgw.core.parties import (
    ANY_METER,
    LINKS,
    ClsProfile,
    CommunicationProfile,
    ConsumerProfile,
    EmtProfile,
    Endpoint,
    MeterProfile,
    ProxyProfile,
    ServiceProfile,
)

__all__ = [
    "ANY_METER",
    "TAF_NUMBERS",
    "ClsProfile",
    "CommunicationProfile",
    "ConsumerProfile",
    "EmtProfile",
    "Endpoint",
    "MeterProfile",
    "Profiles",
    "ProxyProfile",
    "ServiceProfile",
    "TafProfile",
]

_KEYS = {
    "meter": ("meters", "meter_id"),
    "taf": ("tafs", "profile_id"),
    "cls": ("cls", "cls_id"),
    "emt": ("emts", "name"),
    "communication": ("communications", "name"),
    "consumer": ("consumers", "name"),
    "service": ("services", "name"),
    "proxy": ("proxies", "name"),
}


@dataclass(slots=True)
class Profiles:
    """All profiles of one gateway; what such an object holds has passed every check.

    Every part of the gateway holds the same object; only `adopt` changes it, as a whole.

    Raises BadInput naming the profile and the field when a reference points nowhere, an id
    is used twice, or a field does not belong to the tariff use case. `final_consumer` of a
    TafProfile is checked against `consumers` as soon as there is one.
    """

    smgw_id: str
    meters: tuple[MeterProfile, ...] = ()
    tafs: tuple[TafProfile, ...] = ()
    cls: tuple[ClsProfile, ...] = ()
    emts: tuple[EmtProfile, ...] = ()
    communications: tuple[CommunicationProfile, ...] = ()
    consumers: tuple[ConsumerProfile, ...] = ()
    services: tuple[ServiceProfile, ...] = ()
    proxies: tuple[ProxyProfile, ...] = ()
    _by_kind: dict[str, dict] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for kind, (name, key) in _KEYS.items():
            self._by_kind[kind] = _index(kind, key, getattr(self, name))
        self._by_kind["pin"] = {cls.fingerprint: cls for cls in reversed(self.cls)}
        self._check_logins()
        for emt in self.emts:
            for cls_id in emt.cls_ids:
                self._require("cls", cls_id, f"emt profile '{emt.name}': cls_ids")
        for meter in self.meters:
            if meter.communication:
                where = f"meter profile '{meter.meter_id}': communication"
                self._require("communication", meter.communication, where)
        for communication in self.communications:
            if communication.link not in LINKS:
                raise BadInput(
                    f"communication profile '{communication.name}': link "
                    f"'{communication.link}' is not one of {', '.join(LINKS)}"
                )
        for proxy in self.proxies:
            self._require("cls", proxy.cls_id, f"proxy profile '{proxy.name}': cls_id")
            self._require("emt", proxy.emt, f"proxy profile '{proxy.name}': emt")
        self._check_proxies()
        for taf in self.tafs:
            self._check_taf(taf)

    def adopt(self, other: "Profiles") -> None:
        """Becomes `other`: everyone who holds this object sees those profiles from now on."""
        for name, _ in _KEYS.values():
            setattr(self, name, getattr(other, name))
        self._by_kind = other._by_kind

    def meter(self, meter_id: str) -> MeterProfile | None:
        """The profile of the meter with this id (or ANY_METER), if there is one."""
        return self._by_kind["meter"].get(meter_id)

    def taf(self, profile_id: str) -> TafProfile | None:
        """The evaluation profile with this id, if there is one."""
        return self._by_kind["taf"].get(profile_id)

    def cls_box(self, cls_id: str) -> ClsProfile | None:
        """The profile of the control box with this CLS-ID, if there is one."""
        return self._by_kind["cls"].get(cls_id)

    def cls_by_fingerprint(self, fingerprint: str) -> ClsProfile | None:
        """The profile that pins this certificate, if there is one."""
        return self._by_kind["pin"].get(fingerprint)

    def emt(self, name: str) -> EmtProfile | None:
        """The profile of the market participant with this name, if there is one."""
        return self._by_kind["emt"].get(name)

    def consumer(self, name: str) -> ConsumerProfile | None:
        """The profile of the final consumer with this name, if there is one."""
        return self._by_kind["consumer"].get(name)

    def service(self, name: str) -> ServiceProfile | None:
        """The profile of the technician with this name, if there is one."""
        return self._by_kind["service"].get(name)

    def proxy(self, name: str) -> ProxyProfile | None:
        """The proxy profile with this name, if there is one."""
        return self._by_kind["proxy"].get(name)

    def person(self, login: str) -> ConsumerProfile | ServiceProfile | None:
        """The consumer or technician with this log-in name, if there is one."""
        people = (*self.consumers, *self.services)
        return next((person for person in people if login and person.login == login), None)

    def person_by_fingerprint(self, fingerprint: str) -> ConsumerProfile | ServiceProfile | None:
        """The consumer or technician whose certificate this is, if there is one."""
        people = (*self.consumers, *self.services)
        return next((p for p in people if fingerprint and p.fingerprint == fingerprint), None)

    def tafs_of(self, final_consumer: str) -> tuple[TafProfile, ...]:
        """Every evaluation profile of a final consumer, in the order configured."""
        return tuple(taf for taf in self.tafs if taf.final_consumer == final_consumer)

    def with_number(self, *numbers: int) -> tuple[TafProfile, ...]:
        """Every evaluation profile of these TAFs, in the order configured."""
        return tuple(taf for taf in self.tafs if taf.number in numbers)

    def taf16_for(self, cls_id: str) -> tuple[TafProfile, ...]:
        """Every TAF16 profile that names this CLS-ID as its event source, in order."""
        return tuple(taf for taf in self.with_number(16) if cls_id in taf.event_sources)

    def _check_taf(self, taf: TafProfile) -> None:
        where = f"taf profile '{taf.profile_id}'"
        if faults := list(taf.faults()):
            raise BadInput("\n  ".join(f"{where}: {fault}" for fault in faults))
        self._require("meter", taf.meter_id, f"{where}: meter_id")
        if taf.emt or taf.number == 16:
            self._require("emt", taf.emt, f"{where}: emt")
        if self.consumers:
            self._require("consumer", taf.final_consumer, f"{where}: final_consumer")
        for cls_id in taf.event_sources:
            self._require("cls", cls_id, f"{where}: event_sources")
        meter = self.meter(taf.meter_id)
        missing = set(taf.obis) - set(meter.obis if meter and meter.obis else taf.obis)
        if missing:
            raise BadInput(f"{where}: obis {min(missing)} is not read from meter {taf.meter_id}")

    def _check_proxies(self) -> None:
        seen: set[tuple[str, str]] = set()
        for proxy in self.proxies:
            where = f"proxy profile '{proxy.name}'"
            called = (proxy.cls_id, proxy.local_server_name)
            if called in seen:
                raise BadInput(f"{where}: local_server_name is used twice for {proxy.cls_id}")
            seen.add(called)
            if proxy.opened_by != "cls" and proxy.cls_peer is None:
                raise BadInput(f"{where}: opened by {proxy.opened_by} it needs cls_peer")

    def _check_logins(self) -> None:
        seen: set[str] = set()
        for person in (*self.consumers, *self.services):
            for own in filter(None, (person.login, person.fingerprint)):
                if own in seen:
                    raise BadInput(f"profile '{person.name}': log-in or certificate is used twice")
                seen.add(own)

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
