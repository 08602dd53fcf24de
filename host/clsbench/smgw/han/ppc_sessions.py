"""Sessions of the PPC dialect: cookie, token, and the ids of meters and profiles in each.

Bounded for each log-in; the oldest gives way. Knows no page.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable

MAX_OF_LOGIN = 16
IDLE_S = 600.0

_COOKIE = re.compile(r"(?:^|[;,=\s])session=\"?([0-9a-f]{32})")


class Session:
    """One log-in. Ids of meters (mid) and profiles (tid) hold within it."""

    def __init__(self, login: str, now_s: float):
        self.cookie = secrets.token_hex(16)
        self.tkn = secrets.token_hex(16)
        self.login = login
        self.used_s = now_s

    def id_of(self, kind: str, name: str) -> str:
        """The session's id of a meter or profile."""
        return hashlib.sha256(f"{self.tkn} {kind} {name}".encode()).hexdigest()[:32]


class Sessions:
    """All sessions there are."""

    def __init__(self, now_s: Callable[[], float]):
        self._now_s = now_s
        self._by_login: dict[str, list[Session]] = {}  # oldest first

    def new(self, login: str) -> Session:
        """A session from now on."""
        made = Session(login, self._now_s())
        self._by_login[login] = [*self.of(login)[-MAX_OF_LOGIN + 1 :], made]
        return made

    def of(self, login: str) -> list[Session]:
        """The live sessions of a log-in, oldest first."""
        live_from = self._now_s() - IDLE_S
        own = [one for one in self._by_login.get(login, []) if one.used_s >= live_from]
        self._by_login[login] = own
        return own

    def find(self, login: str, cookies: Iterable[str]) -> Session | None:
        """The session that one of the cookies names."""
        named = set(cookies)
        for one in self.of(login):
            if one.cookie in named:
                one.used_s = self._now_s()
                return one
        return None

    def end(self, session: Session) -> None:
        """The session is over."""
        self._by_login[session.login] = [
            one for one in self.of(session.login) if one is not session
        ]


def session_cookies(headers: Iterable[str]) -> list[str]:
    """What Cookie headers say of `session`, however oddly they are written."""
    return [found for header in headers for found in _COOKIE.findall(header)]
