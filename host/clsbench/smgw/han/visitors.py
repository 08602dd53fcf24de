"""Who came to the HAN by TLS: a control box, a person by certificate, or a guest without any.

Knows certificates and profiles. A person's certificate is known by its fingerprint in the
profile, whatever name it carries.
"""

import ssl
from collections.abc import Callable

from clsbench.net.tls import shown_by
from clsbench.pki.names import Peer, peer_called
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.han.connection import GUEST
from clsbench.smgw.han.door import role_of

Identify = Callable[[ssl.SSLObject | None], Peer]


def identifier(profiles: Profiles) -> Identify:
    """Tells visitors apart; raises PeerRefused for a certificate that names nobody."""

    def identify(ssl_object: ssl.SSLObject | None) -> Peer:
        shown = shown_by(ssl_object)
        if shown is None:
            return GUEST
        person = profiles.person_by_fingerprint(shown.fingerprint)
        if person is None:
            return peer_called(shown.cn, shown.fingerprint)
        return Peer(shown.cn, person.name, role_of(person), person.fingerprint)

    return identify


def has_logins(profiles: Profiles) -> bool:
    """True when somebody may come in with a password."""
    return any(person.login for person in (*profiles.consumers, *profiles.services))
