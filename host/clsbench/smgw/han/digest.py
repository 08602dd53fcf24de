"""HTTP Digest on the server's side: challenges, credentials, nonces; no sockets, no profiles.

Nonces carry their own proof, so that whoever only asks costs no memory. What a nonce was used
for is kept for those alone who knew the password. Strict means RFC 7616 with SHA-256 and
qop=auth; lenient what real gateways let pass: MD5 or no algorithm, another uri, a count that
does not rise.
Sources: RFC 7616; BSI Detailspezifikationen 2.0 chapter 6 (realm = gateway id in lower case).
"""

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from clsbench.smgw.core.parties import Ha1

SHA256, MD5 = "SHA-256", "MD5"
NONCE_S = 600.0
MAX_NONCES = 64  # kept for each log-in
MAX_HEADER = 2048
_WINDOW = 64  # how far behind the highest count a late request may be

_HASHES: dict[str, Callable[[bytes], "hashlib._Hash"]] = {SHA256: hashlib.sha256, MD5: hashlib.md5}
_FIELD = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))\s*(?:,|$)')
_NONCE = re.compile("[0-9a-f]{12}[0-9a-f]{16}[0-9a-f]{32}")
_COUNT = re.compile("[0-9a-fA-F]{8}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The fields of an Authorization header of scheme Digest; absent ones are empty."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = ""
    qop: str = ""
    nc: str = ""
    cnonce: str = ""

    def proves(self, known: Ha1, method: str) -> bool:
        """True when the response was made with the password that `known` was made of, by what it
        states itself."""
        names = [self.algorithm.upper()] if self.algorithm else [SHA256, MD5]
        return any(self._fits(name, known, method) for name in names)

    def _fits(self, name: str, known: Ha1, method: str) -> bool:
        plain = name.removesuffix("-SESS")
        made_by, secret = _HASHES.get(plain), known.sha256 if plain == SHA256 else known.md5
        if made_by is None or not secret:
            return False

        def digest(*parts: str) -> str:
            return made_by(":".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

        if name.endswith("-SESS"):
            secret = digest(secret, self.nonce, self.cnonce)
        request = digest(method, self.uri)
        middle = (self.nonce, self.nc, self.cnonce, self.qop) if self.qop else (self.nonce,)
        expected = digest(secret, *middle, request)
        return hmac.compare_digest(
            expected.encode(), self.response.lower().encode("utf-8", "replace")
        )


def ha1_of(login: str, realm: str, password: str) -> Ha1:
    """What is kept in place of a password."""
    text = f"{login}:{realm}:{password}".encode("utf-8", "surrogateescape")
    return Ha1(*(_HASHES[name](text).hexdigest() for name in (SHA256, MD5)))


def realm_of(smgw_id: str) -> str:
    """The realm of a gateway."""
    return smgw_id.lower()


def read_authorization(header: str) -> Credentials | None:
    """The credentials of an Authorization header, None when it is no sound Digest."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "digest" or len(header) > MAX_HEADER:
        return None
    found: dict[str, str] = {}
    place = 0
    while place < len(rest):
        match = _FIELD.match(rest, place)
        if match is None or match.end() == place:
            return None
        name = match[1].lower()
        if name in found:
            return None
        quoted = match[2]
        found[name] = match[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        place = match.end()
    needed = ("username", "realm", "nonce", "uri", "response")
    if any(not found.get(name) for name in needed):
        return None
    known = (*needed, "algorithm", "qop", "nc", "cnonce")
    return Credentials(**{name: found.get(name, "") for name in known})


class Nonces:
    """Makes nonces and tells later which of them are ours and fresh."""

    def __init__(self, now_s: Callable[[], float]):
        self._now_s = now_s
        self._key = secrets.token_bytes(32)
        self._used: dict[str, OrderedDict[str, tuple[int, set[int]]]] = {}
        self._floor: dict[str, str] = {}

    def new(self) -> str:
        """A nonce that is fresh from now on."""
        stem = f"{int(self._now_s() * 1000):012x}{secrets.token_hex(8)}"
        return stem + self._proof(stem)

    def fresh(self, nonce: str) -> bool:
        """True for one of ours not older than NONCE_S."""
        if not _NONCE.fullmatch(nonce):
            return False
        stem = nonce[:28]
        if not hmac.compare_digest(self._proof(stem), nonce[28:]):
            return False
        age_s = self._now_s() - int(nonce[:12], 16) / 1000
        return -1 <= age_s <= NONCE_S

    def count(self, login: str, nonce: str, nc: str) -> bool:
        """Notes a use; False when this count was there before, or can no longer be told."""
        if not _COUNT.fullmatch(nc) or nonce[:12] <= self._floor.get(login, ""):
            return False
        number = int(nc, 16)
        own = self._used.setdefault(login, OrderedDict())
        highest, seen = own.pop(nonce, (0, set()))
        own[nonce] = (max(highest, number), {n for n in seen if n > highest - _WINDOW} | {number})
        if len(own) > MAX_NONCES:
            dropped, _ = own.popitem(last=False)
            self._floor[login] = max(self._floor.get(login, ""), dropped[:12])
        return number > highest or (number not in seen and number > highest - _WINDOW)

    def _proof(self, stem: str) -> str:
        return hmac.new(self._key, stem.encode(), hashlib.sha256).hexdigest()[:32]


def challenge(realm: str, nonce: str, stale: bool = False) -> str:
    """The value of WWW-Authenticate."""
    told = ", stale=true" if stale else ""
    return f'Digest realm="{realm}", qop="auth", algorithm={SHA256}, nonce="{nonce}"{told}'


def strict_fault(given: Credentials, target: str) -> str | None:
    """What breaks the strict rules, None when nothing does. target: path and query asked for."""
    if given.algorithm.upper() != SHA256:
        return "algorithm must be SHA-256"
    if given.qop != "auth" or not given.cnonce:
        return "qop must be auth"
    if given.uri != target:
        return "uri is not the address asked for"
    return None
