"""Contexts and keys that follow their files; sessions that grow too old."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from tls_kit import HOST, open_to, refused_by, running

from clsbench.errors import BadInput
from clsbench.net import reverse, tls_session
from clsbench.net.tls import Crl, Identity, wan_client, wan_server
from clsbench.pki import operations
from clsbench.pki.layout import Pki
from clsbench.pki.live import LivePair


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki.init(tmp_path / "pki")


def test_context_has_a_successor_only_when_files_have_changed(pki: Pki):
    context = wan_server(pki.gwa.tls, pki.wan_trust, Crl(pki.wan_crl))
    told: list[tuple[str, bool]] = []
    context.told = lambda text, good: told.append((text, good))
    assert context.current() is context and told == []
    operations.renew(pki, "gwa")
    newest = context.current()
    assert newest is not context and context.current() is newest
    assert told == [(f"{pki.gwa.tls.cert}: new files in force", True)]


def test_files_that_do_not_fit_leave_the_context_as_it_was(pki: Pki):
    context = wan_server(pki.gwa.tls, pki.wan_trust)
    told: list[bool] = []
    context.told = lambda _text, good: told.append(good)
    key = pki.gwa.tls.key.read_bytes()
    pki.gwa.tls.key.write_bytes(pki.smgw.tls.key.read_bytes())
    assert context.current() is context and told == [False]
    pki.gwa.tls.key.write_bytes(key)
    assert context.current() is not context and told == [False, True]


def test_list_that_was_there_cannot_be_taken_away(pki: Pki):
    context = wan_server(pki.gwa.tls, pki.wan_trust, Crl(pki.wan_crl))
    told: list[str] = []
    context.told = lambda text, _good: told.append(text)
    pki.wan_crl.unlink()
    assert context.current() is context and "revocation lists are required" in told[0]


def test_lists_that_are_required_must_be_there_at_start(pki: Pki):
    pki.wan_crl.unlink()
    wan_server(pki.gwa.tls, pki.wan_trust, Crl(pki.wan_crl))
    with pytest.raises(BadInput, match="wan-crl.pem: no such file.*clsbench pki crl"):
        wan_server(pki.gwa.tls, pki.wan_trust, Crl(pki.wan_crl, required=True))
    pki.wan_crl.write_text("nothing")
    with pytest.raises(BadInput, match="not a PEM file of revocation lists"):
        wan_server(pki.gwa.tls, pki.wan_trust, Crl(pki.wan_crl))


def test_pair_follows_its_files_and_never_comes_apart(pki: Pki):
    identity = pki.smgw.sig
    pair = LivePair(identity.cert, identity.key)
    first = pair.current()
    identity.key.write_bytes(pki.smgw.enc.key.read_bytes())
    assert pair.current() == first
    operations.renew(pki, "smgw")
    assert pair.current() == (identity.cert.read_bytes(), identity.key.read_bytes()) != first


def test_pair_that_does_not_fit_is_refused_at_start(pki: Pki, tmp_path: Path):
    with pytest.raises(BadInput, match="the key is of another certificate"):
        LivePair(pki.smgw.sig.cert, pki.smgw.enc.key)
    with pytest.raises(BadInput, match="clsbench pki init"):
        LivePair(tmp_path / "none", pki.smgw.sig.key)
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(BadInput, match="not a certificate with its key"):
        LivePair(empty, pki.smgw.sig.key)


async def test_revoked_client_is_refused_by_a_server_that_runs(pki: Pki):
    context = wan_server(pki.gwa.tls, pki.wan_trust, Crl(pki.wan_crl))
    async with running(context, "SMGW") as service:
        client = wan_client(pki.smgw.tls, pki.wan_trust)
        _, writer = await open_to(service, client)
        operations.revoke(pki, "smgw", "key-compromise")
        assert "the other side refused: certificate revoked" in await refused_by(service, client)
        assert await service.refusal() == "certificate revoked"
        writer.close()


async def test_opener_cuts_a_session_at_the_age_its_context_gives(pki: Pki):
    async with running(wan_server(pki.gwa.tls, pki.wan_trust), "SMGW") as service:
        context = wan_client(pki.smgw.tls, pki.wan_trust)
        context.session_s = 0.05
        states: list[tuple[bool, str]] = []
        async with asyncio.timeout(30):
            await reverse.connect_and_serve(
                *(HOST, service.port, context, "GWA", None, None),  # type: ignore[arg-type]
                lambda is_open, reason: states.append((is_open, reason)),
            )
        assert states == [(True, ""), (False, "session cut after 48 h")]


async def test_session_that_nobody_cuts_ends_itself(pki: Pki, monkeypatch):
    clock = SimpleNamespace(s=1000.0, monotonic=lambda: clock.s)
    monkeypatch.setattr(tls_session, "time", clock)
    async with running(wan_server(pki.gwa.tls, pki.wan_trust), "SMGW") as service:
        context = wan_client(pki.smgw.tls, pki.wan_trust)
        context.session_s = 600
        reader, writer = await open_to(service, context)
        await reader.readexactly(6)
        clock.s += 600 + tls_session.GRACE_S + 1
        writer.write(b"too late")
        with pytest.raises(OSError, match="session older than allowed"):
            await reader.read()


def test_wrong_key_of_a_renewal_names_the_way_out(pki: Pki):
    wrong = Identity(pki.gwa.tls.cert, pki.smgw.tls.key)
    with pytest.raises(BadInput, match="Was a renewal cut off"):
        wan_client(wrong, pki.wan_trust)
