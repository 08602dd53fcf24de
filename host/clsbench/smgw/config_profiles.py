"""The sections of the gateway's configuration file that become profiles, and that step.

Checks of one field are pydantic's, checks between fields and profiles those of `core`.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from clsbench.errors import BadInput
from clsbench.roleconfig import FilePath, Strict
from clsbench.smgw.config_lmn import LineKeys, check_ports
from clsbench.smgw.core.evaluation import TafProfile, Threshold, UsagePoint
from clsbench.smgw.core.parties import (
    CommunicationProfile,
    ConsumerProfile,
    EmtProfile,
    Endpoint,
    Ha1,
    MeterProfile,
    ProxyProfile,
    ServiceProfile,
)
from clsbench.smgw.core.readings import full_obis
from clsbench.smgw.core.time_of_use import DayProfile, Stage, TimeOfUse
from clsbench.smgw.core.validity import Validity
from clsbench.smgw.han.digest import ha1_of, realm_of

PeerPort = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
DeviceId = Annotated[str, Field(pattern="^[0-9A-Z]{14}$")]
Fingerprint = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
Switch = Annotated[str, Field(pattern=r"^[0-2][0-9]:[0-5][0-9] [0-9]{1,2}$")]


class InForce(Strict):
    """Times a profile is in force. A time without a zone is UTC."""

    valid_from: datetime | None = None
    valid_to: datetime | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not (validity := self.validity()).sound:
            raise ValueError(f"valid_to: {validity.sentence()}")
        return self

    def validity(self) -> Validity:
        """As a value of the core."""
        from_ms, to_ms = _ms(self.valid_from), _ms(self.valid_to)
        return Validity(from_ms or 0, to_ms)


class EmtSection(InForce):
    """A market participant: its channel port, its delivery port, its control boxes.

    wan_tls_sni: the server name stated to it in TLS, "" for none. content: what is delivered
    is signed, or signed and enveloped with this suite for the holder of enc_certificate (PEM;
    by default that of the PKI directory).
    """

    name: Name
    channel_host: str = "127.0.0.1"
    channel_port: PeerPort
    delivery_host: str = "127.0.0.1"
    delivery_port: PeerPort
    wan_tls_sni: str = ""
    cls_ids: list[DeviceId] = []
    external_events: bool = True
    content: Literal["signed", "enveloped"] = "signed"
    suite: Literal["gcm", "cbc-cmac"] = "gcm"
    enc_certificate: FilePath | None = None


class LmnSection(InForce, LineKeys):
    """A meter on a serial port. meter_id "*": the first one seen. obis empty: all registers.

    period_s: of its original list. substitutes: a missed due time takes the reading before it.
    """

    obis: list[str] = []
    period_s: int = Field(default=900, ge=60, le=86_400)
    substitutes: bool = False


class StageSection(Strict):
    """A tariff stage of TAF2."""

    number: int
    description: str = ""


class DaySection(Strict):
    """A day of TAF2. switches: "HH:MM stage", the first at 00:00."""

    id: int
    switches: list[Switch]


class TimeOfUseSection(Strict):
    """Stages of TAF2 by local time. week: day ids from Monday; special: day id by date."""

    stage: list[StageSection]
    day: list[DaySection]
    week: list[int]
    special: dict[date, int] = {}


class ThresholdSection(Strict):
    """A limit of TAF9 and TAF10, in raw units of `scaler`."""

    obis: str
    limit: int
    scaler: int = 0
    hysteresis: int = Field(default=0, ge=0)


class TafSection(InForce):
    """An evaluation profile; which fields a TAF has is the core's to say."""

    id: Name
    number: int
    meter_id: str
    final_consumer: Name
    emt: str = ""
    event_sources: list[str] = []
    wan_source: bool = False
    obis: list[str] = []
    period_s: int = 0
    billing_months: int = 1
    billing_from: date = date(2020, 1, 1)
    time_of_use: TimeOfUseSection | None = None
    modes: list[str] = []
    threshold: list[ThresholdSection] = []
    usage_point_id: str = ""
    usage_point_name: str = ""
    tariff_name: str = ""
    metering_point_id: str = ""
    delivery_id: str = ""
    invoicing_party_id: str = ""


class ClsSection(InForce):
    """A control box. certificate: PEM file; by default that of the PKI directory.

    certificate_pem: its text in place of a file, as the administrator sends it.
    """

    cls_id: DeviceId
    certificate: FilePath | None = None
    certificate_pem: str = ""


class Ha1Section(Strict):
    """A password as HTTP Digest needs it, in lower hex: see `core.parties.Ha1`."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    md5: str = Field(default="", pattern="^([0-9a-f]{32})?$")


class PersonSection(InForce):
    """A final consumer or technician. password_file: one line; password: for a lab; ha1: in place
    of either."""

    name: Name
    login: str = ""
    password: str = ""
    password_file: FilePath | None = None
    ha1: Ha1Section | None = None
    fingerprint: Fingerprint = ""
    customer_id: str = ""

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.ha1 is not None and (self.password or self.password_file is not None):
            raise ValueError("ha1 stands in place of password and password_file")
        return self


class ProxySection(InForce):
    """A transparent channel of a control box to a market participant.

    wan_peers, cls_peer: host:port.
    """

    name: Name
    cls_id: DeviceId
    emt: Name
    local_server_name: str = Field(pattern="^[0-9a-z.-]{1,63}$")
    wan_peers: list[Annotated[str, Field(pattern="^[^:]+:[0-9]+$")]] = []
    opened_by: Literal["cls", "emt", "smgw"] = "cls"
    cls_peer: str = Field(default="", pattern="^([^:]+:[0-9]+)?$")
    tls_sni: str = ""
    wan_tls_sni: str = ""


def meter_profile(lmn: LmnSection) -> MeterProfile:
    """The meter profile of an LMN section. Raises BadInput."""
    return MeterProfile(
        meter_id=lmn.meter_id,
        obis=tuple(full_obis(text) for text in lmn.obis),
        period_s=lmn.period_s,
        communication=lmn.port,
        substitutes=lmn.substitutes,
        validity=lmn.validity(),
    )


def communications(sections: list[LmnSection]) -> tuple[CommunicationProfile, ...]:
    """One for each serial port. Raises BadInput where meters cannot share one."""
    check_ports(sections)
    ports = {lmn.port: lmn for lmn in sections}
    return tuple(
        CommunicationProfile(port, lmn.link, port, lmn.line_baud) for port, lmn in ports.items()
    )


def taf_profile(taf: TafSection) -> TafProfile:
    """The evaluation profile of a section. Raises BadInput."""
    return TafProfile(
        profile_id=taf.id,
        number=taf.number,
        meter_id=taf.meter_id,
        final_consumer=taf.final_consumer,
        emt=taf.emt,
        event_sources=tuple(taf.event_sources),
        wan_source=taf.wan_source,
        obis=tuple(full_obis(text) for text in taf.obis),
        period_s=taf.period_s,
        billing_months=taf.billing_months,
        billing_from=taf.billing_from,
        time_of_use=_time_of_use(taf.time_of_use) if taf.time_of_use else None,
        modes=tuple(taf.modes),
        thresholds=tuple(
            Threshold(full_obis(t.obis), t.limit, t.scaler, t.hysteresis) for t in taf.threshold
        ),
        point=UsagePoint(
            point_id=taf.usage_point_id,
            name=taf.usage_point_name,
            tariff_name=taf.tariff_name,
            metering_point_id=taf.metering_point_id,
            delivery_id=taf.delivery_id,
            invoicing_party_id=taf.invoicing_party_id,
        ),
        validity=taf.validity(),
    )


def emt_profile(emt: EmtSection) -> EmtProfile:
    """The profile of a market participant."""
    return EmtProfile(
        name=emt.name,
        channel=Endpoint(emt.channel_host, emt.channel_port, emt.wan_tls_sni),
        delivery=Endpoint(emt.delivery_host, emt.delivery_port, emt.wan_tls_sni),
        cls_ids=tuple(emt.cls_ids),
        external_events=emt.external_events,
        content=emt.content,
        suite=emt.suite,
        enc_certificate="" if emt.enc_certificate is None else str(emt.enc_certificate),
        validity=emt.validity(),
    )


def consumer_profile(person: PersonSection, smgw_id: str) -> ConsumerProfile:
    """The profile of a final consumer. Raises BadInput."""
    return ConsumerProfile(
        name=person.name,
        login=person.login,
        ha1=_ha1(person, smgw_id),
        fingerprint=person.fingerprint,
        customer_id=person.customer_id,
        validity=person.validity(),
    )


def service_profile(person: PersonSection, smgw_id: str) -> ServiceProfile:
    """The profile of a technician. Raises BadInput."""
    return ServiceProfile(
        person.name, person.login, _ha1(person, smgw_id), person.fingerprint, person.validity()
    )


def proxy_profile(proxy: ProxySection) -> ProxyProfile:
    """The profile of a transparent channel."""
    return ProxyProfile(
        name=proxy.name,
        cls_id=proxy.cls_id,
        emt=proxy.emt,
        local_server_name=proxy.local_server_name,
        wan_peers=tuple(_endpoint(peer) for peer in proxy.wan_peers),
        opened_by=proxy.opened_by,
        cls_peer=_endpoint(proxy.cls_peer) if proxy.cls_peer else None,
        tls_sni=proxy.tls_sni,
        wan_tls_sni=proxy.wan_tls_sni,
        validity=proxy.validity(),
    )


def _endpoint(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    return Endpoint(host, int(port))


def _time_of_use(section: TimeOfUseSection) -> TimeOfUse:
    days = []
    for day in section.day:
        switches = []
        for text in day.switches:
            clock, stage = text.split(" ")
            switches.append((int(clock[:2]) * 60 + int(clock[3:]), int(stage)))
        days.append(DayProfile(day.id, tuple(switches)))
    return TimeOfUse(
        stages=tuple(Stage(stage.number, stage.description) for stage in section.stage),
        days=tuple(days),
        week=tuple(section.week),
        special=tuple(section.special.items()),
    )


def _ha1(person: PersonSection, smgw_id: str) -> Ha1:
    if person.ha1 is not None:
        return Ha1(person.ha1.sha256, person.ha1.md5)
    password = _password(person)
    if not (person.login and password):
        return Ha1()
    return ha1_of(person.login, realm_of(smgw_id), password)


def _password(person: PersonSection) -> str:
    if person.password_file is None:
        return person.password
    try:
        return person.password_file.read_text("utf-8").splitlines()[0]
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise BadInput(
            f"'{person.name}': password_file {person.password_file} holds no line of text"
        ) from error


def _ms(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)
