"""Who may do what on this gateway: the one place that decides. Whatever no rule allows is refused.

Knows the profiles and the identity that TLS established; knows nothing of HTTP beyond the
status a refusal is answered with, and keeps no state.
Source: FlexMC final report (a CLS is an event source only where a TAF16 profile references
its CLS-ID; the EMT only where the profile references it as external source).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from clsbench.smgw.core.evaluation import ON_DEMAND
from clsbench.smgw.core.logs import CALIBRATION_LOG, SYSTEM_LOG, consumer_of
from clsbench.smgw.core.profiles import (
    ClsProfile,
    ConsumerProfile,
    EmtProfile,
    Profiles,
    ProxyProfile,
    ServiceProfile,
    TafProfile,
)
from clsbench.smgw.core.proxying import BY_CLS, BY_EMT, BY_SMGW, proxy_called, way_of

# actions
READ_TIME = "read-time"
ANNOUNCE_EVENT = "announce-event"
FETCH_COMMAND = "fetch-command"
ANSWER_COMMAND = "answer-command"
DELIVER_RECORDS = "deliver-records"
CONNECT = "connect"
DISCONNECT = "disconnect"
READ_STATUS = "read-status"
COMMAND_CLS = "command-cls"
SIGNAL_EVENT = "signal-event"
FETCH_STATE = "fetch-state"  # a reading on demand (TAF9, TAF10)
READ_INFO = "read-info"  # the gateway itself: id, firmware, certificates, time
READ_METER = "read-meter"  # a meter profile
READ_PROFILE = "read-profile"  # an evaluation profile
READ_READINGS = "read-readings"  # original and derived readings of an evaluation profile
READ_LOG = "read-log"
CHANGE_PROFILES = "change-profiles"
LIST_PROFILES = "list-profiles"
RENEW_CERTIFICATES = "renew-certificates"
SELF_TEST = "self-test"
OPEN_PROXY = "open-proxy"  # a transparent channel between a box and a market participant

ROLE_CLS = "CLS"
ROLE_GWA = "GWA"
ROLE_EMT = "EMT"
ROLE_CON = "CON"
ROLE_SRV = "SRV"
ROLE_SMGW = "SMGW"  # the gateway itself, by schedule

FORBIDDEN = 403
NOT_FOUND = 404


class Caller(Protocol):
    """The certificate holder behind a connection, as TLS established it."""

    @property
    def role(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is done to; only the fields the action has a meaning for are set."""

    cls_id: str | None = None
    emt: str | None = None
    taf_profile: str | None = None
    meter: str | None = None
    log: str | None = None
    proxy: str | None = None  # by a CLS: the server name it asks for, else the profile's name


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A caller who proved who it is with a password (HTTP Digest). role: ROLE_CON or ROLE_SRV."""

    role: str
    name: str
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """The action is allowed, on behalf of these profiles."""

    cls: ClsProfile | None = None
    emt: EmtProfile | None = None
    tafs: tuple[TafProfile, ...] = ()
    person: ConsumerProfile | ServiceProfile | None = None
    proxy: ProxyProfile | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The action is not allowed. reason: one sentence for the log and for the caller."""

    reason: str
    http_status: int = FORBIDDEN


Verdict = Grant | Refusal
NOTHING = Target()
Refused = Callable[[Caller, str, Target, Refusal], None]


def _whenever() -> int:
    return 0


def _untold(caller: Caller, action: str, target: Target, refusal: Refusal) -> None:
    return None


class Rights:
    """Decides by the profiles of one gateway.

    now_ms: the gateway's clock, for what is in force. refused: told of every refusal of
    `allowed`.
    """

    def __init__(
        self,
        profiles: Profiles,
        gwa_name: str,
        now_ms: Callable[[], int] = _whenever,
        refused: Refused = _untold,
    ):
        self._profiles = profiles
        self._gwa_name = gwa_name
        self._now_ms = now_ms
        self._refused = refused
        self._rules: dict[tuple[str, str], Callable[[Caller, Target], Verdict]] = {
            (ROLE_CLS, READ_TIME): self._own_cls,
            (ROLE_CLS, FETCH_COMMAND): self._own_cls,
            (ROLE_CLS, ANSWER_COMMAND): self._own_cls,
            (ROLE_CLS, DELIVER_RECORDS): self._own_cls,
            (ROLE_CLS, ANNOUNCE_EVENT): self._announce,
            (ROLE_GWA, CONNECT): self._channel_wanted,
            (ROLE_GWA, DISCONNECT): self._administer_emt,
            (ROLE_GWA, READ_STATUS): self._administer,
            (ROLE_EMT, COMMAND_CLS): self._from_wan,
            (ROLE_EMT, SIGNAL_EVENT): self._from_wan,
            (ROLE_EMT, FETCH_STATE): self._on_demand,
            (ROLE_GWA, READ_INFO): self._administer,
            (ROLE_GWA, READ_LOG): self._administer_log,
            (ROLE_GWA, CHANGE_PROFILES): self._administer,
            (ROLE_GWA, LIST_PROFILES): self._administer,
            (ROLE_GWA, RENEW_CERTIFICATES): self._administer,
            (ROLE_CON, READ_INFO): self._consumer,
            (ROLE_CON, READ_METER): self._own_meter,
            (ROLE_CON, READ_PROFILE): self._own_profile,
            (ROLE_CON, READ_READINGS): self._own_profile,
            (ROLE_CON, READ_LOG): self._own_log,
            (ROLE_CON, SELF_TEST): self._consumer,
            (ROLE_SRV, READ_INFO): self._technician,
            (ROLE_SRV, READ_METER): self._technician,
            (ROLE_SRV, READ_LOG): self._technical_log,
            (ROLE_SRV, SELF_TEST): self._technician,
            (ROLE_CLS, OPEN_PROXY): self._proxy_for_cls,
            (ROLE_GWA, OPEN_PROXY): self._proxy_for_emt,
            (ROLE_SMGW, OPEN_PROXY): self._proxy_by_itself,
        }

    def allowed(self, caller: Caller, action: str, target: Target = NOTHING) -> Verdict:
        """`decide`, and the refusal is told. For callers that do not tell it themselves."""
        verdict = self.decide(caller, action, target)
        if isinstance(verdict, Refusal):
            self._refused(caller, action, target, verdict)
        return verdict

    def decide(self, caller: Caller, action: str, target: Target = NOTHING) -> Verdict:
        """Grant with the profiles concerned, or Refusal with reason and HTTP status.

        An HTTP resource raises the refusal, and its router tells it once; see `allowed`.
        """
        rule = self._rules.get((caller.role, action))
        if rule is None:
            return Refusal(f"role {caller.role} may not {action}")
        return rule(caller, target)

    def admit_cls(self, caller: Caller) -> Verdict:
        """May this certificate use the HAN interface of the CLS at all?"""
        if caller.role != ROLE_CLS:
            return Refusal(f"role {caller.role} may not use the CLS interface")
        return self._own_cls(caller, NOTHING)

    def _own_cls(self, caller: Caller, target: Target) -> Verdict:
        cls = self._profiles.cls_by_fingerprint(caller.fingerprint)
        if cls is None:
            return Refusal(f"no CLS profile pins the certificate of {caller.name}")
        if not cls.validity.holds(self._now_ms()):
            return Refusal(f"CLS profile of {cls.cls_id} is not in force")
        if cls.cls_id.lower() != caller.name.lower():
            return Refusal(f"certificate of {caller.name} is pinned for {cls.cls_id}")
        if target.cls_id is not None and target.cls_id != cls.cls_id:
            return Refusal(f"CLS {cls.cls_id} may not act for {target.cls_id}")
        return Grant(cls=cls)

    def _announce(self, caller: Caller, target: Target) -> Verdict:
        own = self._own_cls(caller, target)
        if isinstance(own, Refusal) or own.cls is None:
            return own
        tafs = self._running(self._profiles.taf16_for(own.cls.cls_id))
        if not tafs:
            return Refusal(f"no TAF16 profile names {own.cls.cls_id} as event source")
        return Grant(cls=own.cls, tafs=tafs)

    def _administer(self, caller: Caller, target: Target) -> Verdict:
        if caller.name != self._gwa_name:
            return Refusal(f"{caller.name} is not this gateway's administrator")
        return Grant()

    def _administer_emt(self, caller: Caller, target: Target) -> Verdict:
        verdict = self._administer(caller, target)
        if isinstance(verdict, Refusal):
            return verdict
        emt = self._profiles.emt(target.emt or "")
        if emt is None:
            return Refusal(f"no EMT profile '{target.emt}'", NOT_FOUND)
        return Grant(emt=emt)

    def _channel_wanted(self, caller: Caller, target: Target) -> Verdict:
        verdict = self._administer_emt(caller, target)
        if isinstance(verdict, Refusal) or verdict.emt is None:
            return verdict
        reason = self.no_channel(verdict.emt)
        return Refusal(reason) if reason else verdict

    def no_channel(self, emt: EmtProfile) -> str:
        """Why this participant may have no channel, "" where it may.

        A passive one (no external events, nothing on demand) gets records and asks nothing.
        """
        if not emt.validity.holds(self._now_ms()):
            return f"EMT profile '{emt.name}' is not in force"
        on_demand = any(t.emt == emt.name and ON_DEMAND in t.modes for t in self._profiles.tafs)
        if not emt.external_events and not on_demand:
            return f"EMT profile '{emt.name}' is passive: no channel"
        return ""

    def _from_wan(self, caller: Caller, target: Target) -> Verdict:
        emt = self._profiles.emt(caller.name)
        if emt is None:
            return Refusal(f"no EMT profile '{caller.name}'")
        cls = self._profiles.cls_box(target.cls_id or "")
        if cls is None:
            return Refusal(f"CLS {target.cls_id} is not known here", NOT_FOUND)
        if not emt.external_events or not emt.validity.holds(self._now_ms()):
            return Refusal(f"EMT profile '{emt.name}' has no external events in force")
        if cls.cls_id not in emt.cls_ids:
            return Refusal(f"EMT profile '{emt.name}' does not list CLS {cls.cls_id}")
        taf = self._profiles.taf(target.taf_profile or "")
        if taf is None or taf.number != 16 or not self._running((taf,)):
            return Refusal(f"no TAF16 profile '{target.taf_profile}'")
        if cls.cls_id not in taf.event_sources:
            return Refusal(f"TAF16 profile '{taf.profile_id}' does not name CLS {cls.cls_id}")
        if taf.emt != emt.name or not taf.wan_source:
            return Refusal(f"TAF16 profile '{taf.profile_id}' has no WAN source '{emt.name}'")
        return Grant(cls=cls, emt=emt, tafs=(taf,))

    def _on_demand(self, caller: Caller, target: Target) -> Verdict:
        emt = self._profiles.emt(caller.name)
        if emt is None or not emt.validity.holds(self._now_ms()):
            return Refusal(f"no EMT profile '{caller.name}' in force")
        taf = self._profiles.taf(target.taf_profile or "")
        if taf is None or taf.emt != emt.name or ON_DEMAND not in taf.modes:
            return Refusal(f"no profile '{target.taf_profile}' on demand for '{emt.name}'")
        if not self._running((taf,)):
            return Refusal(f"profile '{taf.profile_id}' is not in force")
        return Grant(emt=emt, tafs=(taf,))

    def _proxy_for_cls(self, caller: Caller, target: Target) -> Verdict:
        own = self._own_cls(caller, NOTHING)
        if isinstance(own, Refusal) or own.cls is None:
            return own
        proxy = proxy_called(self._profiles, own.cls.cls_id, target.proxy or "")
        if proxy is None:
            return Refusal(f"no proxy profile '{target.proxy}' of {own.cls.cls_id}", NOT_FOUND)
        return self._proxy(proxy, BY_CLS)

    def _proxy_for_emt(self, caller: Caller, target: Target) -> Verdict:
        administered = self._administer_emt(caller, target)
        if isinstance(administered, Refusal):
            return administered
        proxy = self._profiles.proxy(target.proxy or "")
        if proxy is None or proxy.emt != target.emt:
            return Refusal(f"no proxy profile '{target.proxy}' of '{target.emt}'", NOT_FOUND)
        return self._proxy(proxy, BY_EMT)

    def _proxy_by_itself(self, caller: Caller, target: Target) -> Verdict:
        proxy = self._profiles.proxy(target.proxy or "")
        if proxy is None:
            return Refusal(f"no proxy profile '{target.proxy}'", NOT_FOUND)
        return self._proxy(proxy, BY_SMGW)

    def _proxy(self, proxy: ProxyProfile, opened_by: str) -> Verdict:
        way = way_of(self._profiles, proxy, opened_by, self._now_ms())
        if isinstance(way, str):
            return Refusal(way)
        return Grant(cls=way.cls, emt=way.emt, proxy=proxy)

    def _running(self, tafs: tuple[TafProfile, ...]) -> tuple[TafProfile, ...]:
        now_ms = self._now_ms()
        return tuple(taf for taf in tafs if taf.validity.holds(now_ms))

    def _person(self, caller: Caller) -> ConsumerProfile | ServiceProfile | Refusal:
        """Who the caller is: by certificate the one whose it is, after a log-in the one named."""
        find = self._profiles.consumer if caller.role == ROLE_CON else self._profiles.service
        person = find(caller.name)
        if person is None:
            return Refusal(f"no profile for {caller.role} '{caller.name}'")
        if caller.fingerprint and caller.fingerprint != person.fingerprint:
            return Refusal(f"certificate is not the one of '{person.name}'")
        if not caller.fingerprint and not person.login:
            return Refusal(f"'{person.name}' has no log-in")
        if not person.validity.holds(self._now_ms()):
            return Refusal(f"profile of '{person.name}' is not in force")
        return person

    def _consumer(self, caller: Caller, target: Target) -> Verdict:
        person = self._person(caller)
        if isinstance(person, Refusal):
            return person
        return Grant(person=person, tafs=self._profiles.tafs_of(person.name))

    def _own_profile(self, caller: Caller, target: Target) -> Verdict:
        own = self._consumer(caller, target)
        if isinstance(own, Refusal):
            return own
        tafs = tuple(taf for taf in own.tafs if taf.profile_id == target.taf_profile)
        if not tafs:
            return Refusal(f"no profile '{target.taf_profile}' of {caller.name}", NOT_FOUND)
        return Grant(person=own.person, tafs=tafs)

    def _own_meter(self, caller: Caller, target: Target) -> Verdict:
        own = self._consumer(caller, target)
        if isinstance(own, Refusal):
            return own
        tafs = tuple(taf for taf in own.tafs if taf.meter_id == target.meter)
        if not tafs:
            return Refusal(f"no meter '{target.meter}' of {caller.name}", NOT_FOUND)
        return Grant(person=own.person, tafs=tafs)

    def _own_log(self, caller: Caller, target: Target) -> Verdict:
        own = self._consumer(caller, target)
        if isinstance(own, Refusal):
            return own
        if target.log != CALIBRATION_LOG and consumer_of(target.log or "") != caller.name:
            return Refusal(f"log '{target.log}' is not for {caller.name}")
        return own

    def _technician(self, caller: Caller, target: Target) -> Verdict:
        person = self._person(caller)
        return person if isinstance(person, Refusal) else Grant(person=person)

    def _technical_log(self, caller: Caller, target: Target) -> Verdict:
        if target.log not in (SYSTEM_LOG, CALIBRATION_LOG):
            return Refusal(f"log '{target.log}' is not for a technician")
        return self._technician(caller, target)

    def _administer_log(self, caller: Caller, target: Target) -> Verdict:
        if target.log not in (SYSTEM_LOG, CALIBRATION_LOG):
            return Refusal(f"log '{target.log}' is not for the administrator")
        return self._administer(caller, target)
