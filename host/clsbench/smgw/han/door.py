"""The door of the HAN for people: who a request comes from, by certificate or HTTP Digest.

Knows profiles and the rules of `digest` and `gate`; knows no resource. Every answer
it gives itself is documented: 401 with a challenge, 403 while a log-in is locked, 429 when a
person asks too often (the BSI's list of codes has none for that).
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from clsbench.pki.names import Peer
from clsbench.smgw.core.parties import ConsumerProfile, Ha1, ServiceProfile
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.rights import ROLE_CON, ROLE_SRV
from clsbench.smgw.han.connection import GUEST, Visitor
from clsbench.smgw.han.digest import (
    Credentials,
    Nonces,
    challenge,
    read_authorization,
    realm_of,
    strict_fault,
)
from clsbench.smgw.han.gate import LockOut, Rate
from clsbench.smgw.rest import HttpRefusal

UNKNOWN = ""  # all log-in names without a profile count as one, for each address

Person = ConsumerProfile | ServiceProfile


@dataclass(frozen=True, slots=True)
class Limits:
    """As HanSection. locked_s: locked for everybody, a quirk."""

    lock_tries: int
    lock_s: float
    requests_per_min: int
    locked_s: int = 0


class DoorRefusal(HttpRefusal):
    """The door stays shut; headers belong to the answer."""

    def __init__(self, status: int, reason: str, headers: dict[str, str]):
        super().__init__(status, reason)
        self.headers = headers


def role_of(person: Person) -> str:
    """CON or SRV."""
    return ROLE_CON if isinstance(person, ConsumerProfile) else ROLE_SRV


class Door:
    """Lets people in. came(peer): told once for each log-in on a connection."""

    def __init__(
        self,
        profiles: Profiles,
        limits: Limits,
        came: Callable[[Peer, str], None],
        now_s: Callable[[], float] = time.monotonic,
    ):
        self._profiles = profiles
        self._realm = realm_of(profiles.smgw_id)
        self._limits = limits
        self._came = came
        self._nonces = Nonces(now_s)
        self._lock = LockOut(limits.lock_tries, limits.lock_s, now_s)
        self._rate = Rate(limits.requests_per_min, now_s)
        self._nobody = Ha1(secrets.token_hex(32), secrets.token_hex(16))

    def enter(self, visitor: Visitor, request: web.BaseRequest, lenient: bool = False) -> Peer:
        """Who asks. lenient: as real gateways of two makers take Digest. Raises DoorRefusal."""
        header = request.headers.get("Authorization")
        if header is None:
            if visitor.peer is GUEST:
                raise self._ask("log-in needed")
            return self._counted(visitor.peer, visitor.peer.name)
        given = read_authorization(header)
        if given is None:
            raise self._ask("Authorization is not Digest, or damaged")
        person = self._profiles.person(given.username)
        self._check_lock(visitor, given.username, person)
        if not self._proves(given, person, request.method):
            raise self._wrong(visitor, given.username, person)
        assert person is not None
        self._check_rules(given, request, lenient)
        peer = Peer(given.username, person.name, role_of(person), "")
        if visitor.prove(given.username):
            self._lock.right(visitor.address, given.username)
            self._came(peer, visitor.address)
        return self._counted(peer, given.username)

    def _proves(self, given: Credentials, person: Person | None, method: str) -> bool:
        known = person.ha1 if person is not None and person.ha1.sha256 else self._nobody
        return given.realm == self._realm and given.proves(known, method)

    def _check_lock(self, visitor: Visitor, login: str, person: Person | None) -> None:
        if self._limits.locked_s:
            raise self._locked(self._limits.locked_s)
        if login in visitor.proven:
            return
        left_s = self._lock.locked_s(visitor.address, login if person else UNKNOWN)
        if left_s:
            raise self._locked(left_s)

    def _wrong(self, visitor: Visitor, login: str, person: Person | None) -> DoorRefusal:
        if login not in visitor.proven:
            key = login if person else UNKNOWN
            if self._lock.wrong(visitor.address, key):
                return self._ask("log-in name or password wrong again, locked from now on")
        return self._ask("log-in name or password wrong")

    def _check_rules(self, given: Credentials, request: web.BaseRequest, lenient: bool) -> None:
        if not self._nonces.fresh(given.nonce):
            raise self._ask("nonce is not fresh", stale=True)
        if lenient:
            return
        fault = strict_fault(given, request.raw_path)
        if fault is not None:
            raise self._ask(fault)
        if not self._nonces.count(given.username, given.nonce, given.nc):
            raise self._ask("nc was used before", stale=True)

    def _counted(self, peer: Peer, name: str) -> Peer:
        wait_s = self._rate.wait_s(f"{peer.role} {name}")
        if wait_s:
            raise DoorRefusal(429, "too many requests", _after(wait_s))
        return peer

    def _ask(self, reason: str, stale: bool = False) -> DoorRefusal:
        asked = challenge(self._realm, self._nonces.new(), stale)
        return DoorRefusal(401, reason, {"WWW-Authenticate": asked})

    def _locked(self, left_s: float) -> DoorRefusal:
        minutes = -(-left_s // 60)
        reason = f"portal locked for {minutes:.0f} minutes after wrong passwords"
        return DoorRefusal(403, reason, _after(left_s))


def _after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, round(seconds)))}
