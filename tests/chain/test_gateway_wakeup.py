"""A gateway that is woken, by UDP and TCP: no message is followed twice, restart or not."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from chains import until
from click.testing import CliRunner
from wan_edge import post

from clsbench.bench.roles import RoleProcess
from clsbench.cli.gwa_wake import wake
from clsbench.eventlog import read_events
from clsbench.gwa.config import GwaConfig
from clsbench.gwa.service import GwaService
from clsbench.net.tls import wan_client
from clsbench.pki import files
from clsbench.pki.authority import Validity
from clsbench.pki.layout import DEFAULT_EMT, DEFAULT_GWA, DEFAULT_SMGW, Pki
from clsbench.pki.names import SIG, TLS
from clsbench.roleconfig import load_config
from clsbench.smgw.config import SmgwConfig
from clsbench.smgw.core import wakeup
from clsbench.smgw.core.wakeup import WakeUpRefused
from clsbench.smgw.service import Gateway
from clsbench.smgw.wan.wakeup_signer import WakeUpSigner

IDLE_S = 0.6


class Woken:
    """A GWA, and a gateway that is silent until it is woken: in this process, or in its own."""

    def __init__(self, pki: Pki, folder: Path, transport: str, management: str, process: bool):
        self.pki, self.folder, self.transport = pki, folder, transport
        self._management = management
        self._process = process
        self._config = folder / "smgw.toml"
        self.smgw: RoleProcess | Gateway | None = None
        self.port = 0

    async def start(self) -> None:
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._write_gwa(f"{self.transport}://127.0.0.1:{self.port}")
        self.gwa = GwaService(load_config(self.folder / "gwa.toml", GwaConfig))
        self.gwa_ports = await self.gwa.start()
        await self.start_smgw()

    async def start_smgw(self) -> None:
        """Starts the gateway, always on the same wake-up port."""
        self._write_smgw()
        if self._process:
            self.smgw = RoleProcess("smgw", self._config, self.folder / "smgw.log")
        else:
            self.smgw = Gateway(load_config(self._config, SmgwConfig))
        assert (await self.smgw.start())["wakeup"] == self.port

    async def wake(self, *options: str) -> dict:
        """`clsbench gwa wake`; what it says it sent."""
        arguments = ["--config", str(self.folder / "gwa.toml"), "--smgw", DEFAULT_SMGW, "--json"]
        done = await asyncio.to_thread(CliRunner().invoke, wake, [*arguments, *options])
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    async def send(self, message: bytes) -> None:
        """Raw bytes to the wake-up port."""
        if self.transport == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.sendto(message, ("127.0.0.1", self.port))
            return
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(message)
        writer.write_eof()
        await writer.drain()
        writer.close()

    def events(self, name: str) -> list[dict]:
        return [event for event in read_events(self.folder / "events") if event["name"] == name]

    async def opened(self, count: int) -> None:
        """The GWA has seen so many management connections."""

        def seen() -> bool:
            found = self.events("management")
            return sum(event["detail"]["state"] == "up" for event in found) >= count

        await until(seen, what=f"management connection {count}")

    async def refused(self, count: int) -> list[str]:
        """The reasons of refusal so far, once there are so many."""
        await until(lambda: len(self.events("wakeup.refused")) >= count)
        found = self.events("wakeup.refused")
        assert all(event["kind"] == "fault" and event["ok"] is False for event in found)
        return [event["detail"]["reason"] for event in found]

    def system_log(self) -> list[str]:
        """Lines of the gateway process's log, which has the system log's entries."""
        return (self.folder / "smgw.log").read_text().splitlines()

    async def close(self) -> None:
        if self.smgw is not None:
            await self.smgw.stop()
        await self.gwa.stop()

    def _write_gwa(self, address: str) -> None:
        (self.folder / "gwa.toml").write_text(
            f'[gwa]\nname = "{DEFAULT_GWA}"\nstate_dir = "gwa"\nevent_log = "events"\n'
            f'[pki]\ndir = "{self.pki.directory}"\n'
            f'[[smgw]]\nid = "{DEFAULT_SMGW}"\nwakeup = "{address}"\n'
            f'[[emt]]\nname = "{DEFAULT_EMT}"\nsmgw_ids = ["{DEFAULT_SMGW}"]\n'
        )

    def _write_smgw(self) -> None:
        self._config.write_text(
            f'[smgw]\nid = "{DEFAULT_SMGW}"\nstate_dir = "smgw"\nevent_log = "events"\n'
            f'[pki]\ndir = "{self.pki.directory}"\n'
            f'[gwa]\nname = "{DEFAULT_GWA}"\nport = {self.gwa_ports["management"]}\n'
            f'management = "{self._management}"\nidle_s = {IDLE_S}\n'
            f'[wakeup]\ntransport = "{self.transport}"\nport = {self.port}\n'
        )


@contextlib.asynccontextmanager
async def running(
    pki: Pki,
    folder: Path,
    transport: str = "udp",
    management: str = "wake-up",
    process: bool = False,
) -> AsyncIterator[Woken]:
    woken = Woken(pki, folder, transport, management, process)
    try:
        await woken.start()
        yield woken
    finally:
        await woken.close()


async def next_second() -> None:
    """A new message needs a time stamp of its own."""
    await asyncio.sleep(1.05 - time.time() % 1)


async def test_a_message_is_followed_once_and_never_again_not_even_after_a_restart(pki, tmp_path):
    async with running(pki, tmp_path, process=True) as woken:
        assert woken.events("management") == []  # silent until it is woken
        sent = await woken.wake()
        message = bytes.fromhex(sent["message"])
        assert len(message) == sent["bytes"] == 108
        await woken.opened(1)
        (followed,) = woken.events("wakeup")
        assert followed["detail"]["order"] == sent["order"] == wakeup.LOW_FIRST
        assert followed["raw"] == message.hex()
        await woken.send(message)
        assert await woken.refused(1) == ["replay"]
        assert isinstance(woken.smgw, RoleProcess)
        await woken.smgw.kill()
        await woken.start_smgw()
        await woken.send(message)
        assert await woken.refused(2) == ["replay", "replay"]
        await next_second()
        await woken.wake()
        await woken.opened(2)
        assert len(woken.events("wakeup")) == 2
        log = woken.system_log()
        assert sum("system wakeup.refused" in line and "replay" in line for line in log) == 2
        assert sum("system wakeup " in line for line in log) == 2


async def test_the_connection_is_closed_when_idle_and_opened_by_the_next_message(pki, tmp_path):
    async with running(pki, tmp_path, "tcp") as woken:
        await woken.wake("--order", "high")
        await woken.opened(1)
        assert woken.events("wakeup")[0]["detail"]["order"] == wakeup.HIGH_FIRST
        await until(lambda: woken.events("channel.closed"))
        await next_second()
        await woken.wake()
        await woken.opened(2)


async def test_what_is_no_message_for_this_gateway_is_refused_with_its_reason(pki, tmp_path):
    key, now = files.read_key(pki.gwa.sig.key), int(time.time())
    good = wakeup.make(DEFAULT_SMGW, now, key)
    strange = files.read_key(pki.smgw.sig.key)
    cases = {
        b"": wakeup.LENGTH,
        b"GET / HTTP/1.1\r\n\r\n" + bytes(30): wakeup.NO_HEADER,
        good[:-1]: wakeup.NO_SIGNATURE_LENGTH,
        good + bytes(500): wakeup.LENGTH,
        wakeup.make("ETST0010000002", now, key): wakeup.OTHER_RECIPIENT,
        wakeup.make(DEFAULT_SMGW, now - 400, key): wakeup.OUTSIDE_WINDOW,
        wakeup.make(DEFAULT_SMGW, now + 400, key): wakeup.OUTSIDE_WINDOW,
        wakeup.make(DEFAULT_SMGW, now, strange): wakeup.BAD_SIGNATURE,
    }
    async with running(pki, tmp_path, "tcp") as woken:
        for number, (message, reason) in enumerate(cases.items(), 1):
            await woken.send(message)
            assert (await woken.refused(number))[-1] == reason
        await woken.send(good)
        await woken.opened(1)


async def test_a_sender_that_never_ends_and_a_flood_do_not_shut_the_administrator_out(
    pki, tmp_path
):
    async with running(pki, tmp_path, "tcp") as woken:
        place = ("127.0.0.1", woken.port)
        open_ = [await asyncio.open_connection(*place) for _ in range(20)]
        assert set(await woken.refused(4)) == {"flood"}
        for _, writer in open_[:16]:
            writer.close()
        await woken.refused(20)  # the sixteen, judged by what came: nothing
        await woken.wake()
        await woken.opened(1)


async def test_who_orders_at_the_administrator_need_not_know_that_the_gateway_sleeps(
    pki, tmp_path
):
    async with running(pki, tmp_path) as woken:
        order = {"smgw_id": DEFAULT_SMGW, "emt_id": DEFAULT_EMT}
        context = wan_client(pki.emt(DEFAULT_EMT).tls, pki.wan_trust)
        port = woken.gwa_ports["service"]
        answer = await post("GWA", DEFAULT_GWA, port, context, "/gwa/v1/connect", content=order)
        assert answer.status == 403  # by the gateway: it has no profile of this participant
        assert "no EMT profile" in answer.error_text()
        assert len(woken.events("gwa.wakeup")) == len(woken.events("wakeup")) == 1


async def test_kept_open_always_a_wake_up_ends_the_pause_before_the_next_try(pki, tmp_path):
    async with running(pki, tmp_path, management="always") as woken:
        await woken.opened(1)
        await woken.wake()
        await until(lambda: woken.events("wakeup"))
        assert len(woken.events("channel.open")) == 1


def signer(pki: Pki, path: Path) -> WakeUpSigner:
    return WakeUpSigner(path, pki.wan_trust, DEFAULT_GWA)


def test_only_the_administrators_certificate_for_signatures_wakes_and_a_renewed_one_counts_at_once(
    pki, tmp_path
):
    now = datetime.now(UTC)
    cn, path = f"{DEFAULT_GWA}.GWA", tmp_path / "gwa.crt.pem"
    past = Validity(now - timedelta(days=9), now - timedelta(days=1))
    found = signer(pki, path)
    wrong = {
        "other name": pki.issue_wan_to(tmp_path / "a", "other.GWA", SIG),
        "other role": pki.issue_wan_to(tmp_path / "b", f"{DEFAULT_GWA}.EMT", SIG),
        "for TLS": pki.issue_wan_to(tmp_path / "c", cn, TLS),
        "expired": pki.issue_wan_to(tmp_path / "d", cn, SIG, past),
    }
    for identity in wrong.values():
        path.write_bytes(identity.cert.read_bytes())
        with pytest.raises(WakeUpRefused) as told:
            found.key(now)
        assert told.value.reason == wakeup.BAD_SIGNER
    renewed = pki.issue_wan_to(tmp_path / "e", cn, SIG)
    path.write_bytes(renewed.cert.read_bytes())
    assert found.key(now) == files.read_key(renewed.key).public_key()
    path.unlink()
    with pytest.raises(WakeUpRefused):
        found.key(now)
