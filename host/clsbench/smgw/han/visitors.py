"""Who came to the HAN by TLS: a control box, a person by certificate, or a guest without any.

Knows certificates and profiles. A person's certificate is known by its fingerprint in the
profile, whatever name it carries.
"""

import ssl
from collections.abc import Callable

from clsbench.net.tls import certificate_of
from clsbench.pki.names import Peer, cn_of, fingerprint, peer_of_certificate
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.han.connection import GUEST
from clsbench.smgw.han.door import role_of

Identify = Callable[[ssl.SSLObject | None], Peer]


def identifier(profiles: Profiles) -> Identify:
    """Tells visitors apart; raises PeerRefused for a certificate that names nobody."""

    def identify(ssl_object: ssl.SSLObject | None) -> Peer:
        certificate = certificate_of(ssl_object)
        if certificate is None:
            return GUEST
        shown = fingerprint(certificate)
        person = profiles.person_by_fingerprint(shown)
        if person is None:
            return peer_of_certificate(certificate, shown)
        return Peer(cn_of(certificate), person.name, role_of(person), person.fingerprint)

    return identify


def has_logins(profiles: Profiles) -> bool:
    """True when somebody may come in with a password."""
    return any(person.login for person in (*profiles.consumers, *profiles.services))
