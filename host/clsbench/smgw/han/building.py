"""Puts the HAN together from the gateway's parts. Holds no rule of its own."""

from collections.abc import Callable

from clsbench.net.tls import PolicyContext, han_server
from clsbench.net.tls_policy import HAN_PROFILES
from clsbench.pki.names import Peer
from clsbench.roleconfig import PkiDir
from clsbench.smgw.archive import Archive
from clsbench.smgw.core.clock_state import TimeSource
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.rights import ROLE_CON, Rights
from clsbench.smgw.han.conexa import Conexa
from clsbench.smgw.han.door import Door, Limits
from clsbench.smgw.han.facts import Facts
from clsbench.smgw.han.front import Dialect, Front
from clsbench.smgw.han.library import Library
from clsbench.smgw.han.people import PeopleResources
from clsbench.smgw.han.ppc import Ppc
from clsbench.smgw.han.resources import ClsResources
from clsbench.smgw.han.selftest import SelfTest
from clsbench.smgw.han.server import HanInterface
from clsbench.smgw.han.settings import HanSection
from clsbench.smgw.han.signing import Signer
from clsbench.smgw.han.visitors import has_logins, identifier
from clsbench.smgw.journal import Journal
from clsbench.smgw.recorder import Sign
from clsbench.smgw.rest import Router
from clsbench.smgw.worker import StoreWorker


def build_han(
    section: HanSection,
    pki: PkiDir,
    profiles: Profiles,
    authority: Rights,
    boxes: ClsResources,
    archive: Archive,
    worker: StoreWorker,
    journal: Journal,
    now_ms: Callable[[], int],
    time: TimeSource,
    sign: Sign,
    told_of: Callable[[PolicyContext], PolicyContext],
) -> HanInterface:
    """The HAN interface, not yet listening. told_of: its TLS tells of changed files. Raises
    BadInput."""
    quirks = section.quirk_profile()
    own = pki.han_identity
    made_tls = han_server(
        own,
        pki.dir / "han" / "ca.crt.pem",
        pki.han_crl,
        section.sni,
        HAN_PROFILES[section.profile],
        (section.curve,) if section.curve else (),
        has_logins(profiles),
    )
    tls = told_of(made_tls)
    library = Library(profiles, authority, archive, worker, now_ms, quirks.stale_s * 1000)
    limits = Limits(section.lock_tries, section.lock_s, section.requests_per_min, quirks.locked_s)

    def came(peer: Peer, address: str) -> None:
        message = f"log-in '{peer.cn}' from {address}"
        if peer.role == ROLE_CON:
            journal.consumer(peer.name, "han.login", peer.name, message)
        else:
            journal.system("han.login", peer.name, message)

    door = Door(profiles, limits, came)
    signer, facts = Signer(sign, own), Facts(pki.dir)
    selftest = SelfTest(journal, now_ms, lambda: _check(sign))
    made: dict[str, Callable[[], Dialect]] = {
        "conexa": lambda: Conexa(library, door, selftest, signer, facts.conexa),
        "ppc": lambda: Ppc(library, door, selftest, signer, facts.versions, quirks.no_session),
    }
    dialects = [made[name]() for name in dict.fromkeys(section.dialects)]

    def refused(peer, request, refusal) -> None:
        interface.request_refused(peer, request, refusal)

    cls_router, people_router = Router(refused), Router(refused)
    boxes.add_to(cls_router)
    PeopleResources(library, signer, selftest, time).add_to(people_router)
    front = Front(cls_router, people_router, door, dialects, refused, quirks.delay_s)
    interface = HanInterface(
        tls,
        authority,
        front.answer,
        identifier(profiles),
        journal,
        quirks.no_renegotiation_info,
    )
    return interface


def _check(sign: Sign) -> str:
    return f"self-test passed: signature of {len(sign(b'self-test'))} bytes made"
