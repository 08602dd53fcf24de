"""Who may do what on this gateway: the one place that decides. Whatever no rule allows is refused.

Knows the profiles and the identity that TLS established; knows nothing of HTTP beyond the
status a refusal is answered with, and keeps no state.
Source: FlexMC final report (a CLS is an event source only where a TAF16 profile references
its CLS-ID; the EMT only where the profile references it as external source).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from clsbench.smgw.core.profiles import ClsProfile, EmtProfile, Profiles, TafProfile

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

ROLE_CLS = "CLS"
ROLE_GWA = "GWA"
ROLE_EMT = "EMT"

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


@dataclass(frozen=True, slots=True)
class Grant:
    """The action is allowed, on behalf of these profiles."""

    cls: ClsProfile | None = None
    emt: EmtProfile | None = None
    tafs: tuple[TafProfile, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The action is not allowed. reason: one sentence for the log and for the caller."""

    reason: str
    http_status: int = FORBIDDEN


Verdict = Grant | Refusal
NOTHING = Target()


class Rights:
    """Decides by the profiles of one gateway."""

    def __init__(self, profiles: Profiles, gwa_name: str):
        self._profiles = profiles
        self._gwa_name = gwa_name
        self._rules: dict[tuple[str, str], Callable[[Caller, Target], Verdict]] = {
            (ROLE_CLS, READ_TIME): self._own_cls,
            (ROLE_CLS, FETCH_COMMAND): self._own_cls,
            (ROLE_CLS, ANSWER_COMMAND): self._own_cls,
            (ROLE_CLS, DELIVER_RECORDS): self._own_cls,
            (ROLE_CLS, ANNOUNCE_EVENT): self._announce,
            (ROLE_GWA, CONNECT): self._administer_emt,
            (ROLE_GWA, DISCONNECT): self._administer_emt,
            (ROLE_GWA, READ_STATUS): self._administer,
            (ROLE_EMT, COMMAND_CLS): self._from_wan,
            (ROLE_EMT, SIGNAL_EVENT): self._from_wan,
        }

    def decide(self, caller: Caller, action: str, target: Target = NOTHING) -> Verdict:
        """Grant with the profiles concerned, or Refusal with reason and HTTP status."""
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
        if cls.cls_id.lower() != caller.name.lower():
            return Refusal(f"certificate of {caller.name} is pinned for {cls.cls_id}")
        if target.cls_id is not None and target.cls_id != cls.cls_id:
            return Refusal(f"CLS {cls.cls_id} may not act for {target.cls_id}")
        return Grant(cls=cls)

    def _announce(self, caller: Caller, target: Target) -> Verdict:
        own = self._own_cls(caller, target)
        if isinstance(own, Refusal) or own.cls is None:
            return own
        tafs = self._profiles.taf16_for(own.cls.cls_id)
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

    def _from_wan(self, caller: Caller, target: Target) -> Verdict:
        emt = self._profiles.emt(caller.name)
        if emt is None:
            return Refusal(f"no EMT profile '{caller.name}'")
        cls = self._profiles.cls_box(target.cls_id or "")
        if cls is None:
            return Refusal(f"CLS {target.cls_id} is not known here", NOT_FOUND)
        if cls.cls_id not in emt.cls_ids:
            return Refusal(f"EMT profile '{emt.name}' does not list CLS {cls.cls_id}")
        taf = self._profiles.taf(target.taf_profile or "")
        if taf is None or taf.number != 16:
            return Refusal(f"no TAF16 profile '{target.taf_profile}'")
        if cls.cls_id not in taf.event_sources:
            return Refusal(f"TAF16 profile '{taf.profile_id}' does not name CLS {cls.cls_id}")
        if taf.emt != emt.name or not taf.wan_source:
            return Refusal(f"TAF16 profile '{taf.profile_id}' has no WAN source '{emt.name}'")
        return Grant(cls=cls, emt=emt, tafs=(taf,))
