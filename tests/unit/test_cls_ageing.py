"""Channels of the gateway and its bench's clock: how old they get, and files told."""

import ssl
from types import SimpleNamespace

from proxy_kit import CLS, EMT, GWA, SMGW, Told, pki
from tls_kit import HOST

from clsbench import roletls
from clsbench.pki.names import Peer
from clsbench.roleconfig import PkiDir
from clsbench.smgw.cls.building import ClsChannels
from clsbench.smgw.cls.settings import SocksSection
from clsbench.smgw.core.parties import ClsProfile, EmtProfile, Endpoint, ProxyProfile
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.rights import Rights, Target

__all__ = ["pki"]

SPEED, HOURS_48 = 1000, 48 * 3600
BOX = Peer(f"{CLS.lower()}.cls", CLS, "CLS", "ab")
AT = Endpoint(HOST, 1)
HELD = Profiles(
    SMGW,
    cls=(ClsProfile(CLS, BOX.fingerprint),),
    emts=(EmtProfile(EMT, AT, AT, (CLS,)),),
    proxies=(ProxyProfile("p", CLS, EMT, "emt.flexmarkt", (AT,)),),
)


def channels(pki, told, socks=None):
    folder = PkiDir(dir=pki.directory)
    role_tls = roletls.RoleTls(folder, "smgw", lambda *each: told.append(each), SPEED)
    journal = Told()
    rights = Rights(HELD, GWA)
    return ClsChannels(socks, folder, role_tls, HELD, rights, journal, lambda: 0, 1, 1), journal


def test_a_channel_is_cut_after_48_hours_of_the_clock_that_its_bench_has(pki, monkeypatch):
    now = SimpleNamespace(monotonic=lambda: now.s, s=5000.0)
    monkeypatch.setattr(roletls, "time", now)
    made, journal = channels(pki, [])
    made.engine.opened(made.engine.admit(BOX, Target(proxy="emt.flexmarkt")))
    now.s += HOURS_48 / SPEED - 0.1
    made.engine.look()
    assert journal.of("proxy.closed") == []
    now.s += 0.2
    made.engine.look()
    assert [told["reason"] for told in journal.of("proxy.closed")] == ["session cut after 48 h"]


def test_every_context_of_channels_tells_of_new_files_and_ages_by_the_clock(pki):
    told = []
    made, _ = channels(pki, told, SocksSection(port=0))
    legs, port = made.engine._legs, made._port
    contexts = {"wan": legs._wan, "han": legs._han, "socks": port._listener._context}
    assert {context.session_s for context in contexts.values()} == {HOURS_48 / SPEED}
    for name, context in contexts.items():
        cert = context.plan.material.identity.cert
        cert.write_bytes(cert.read_bytes() + b"\n")
        assert context.current() is not context, name
        assert told.pop()[:3] == ("tls.files", True, f"{cert}: new files in force")
        session = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=name == "socks")
        assert session.session_s == HOURS_48 / SPEED
