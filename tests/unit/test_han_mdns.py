"""The gateway's HAN announced by mDNS: where, under which names, and nowhere else."""

import asyncio
import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys

import pytest
from han_kit import han_config, served

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.pki.layout import Pki
from clsbench.smgw.han import announcement, mdns
from clsbench.smgw.han.announcement import Adapter, Announcement, find_place, services

LO = Adapter("lo", 1, (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")))
ETH = Adapter("eth1", 2, tuple(map(ipaddress.ip_address, ("192.0.2.7", "fe80::7"))))
GROUP = ("224.0.0.251", 5353)
SMGW = f"ETST00{os.getpid():08d}"  # of this run alone: all runs share the multicast group
OWN_HOST = f"{SMGW.lower()}.local"

BROWSER = """
import json, socket, sys
from zeroconf import IPVersion, Zeroconf
zeroconf = Zeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
found = {}
for kind in ("_smgw._tcp.local.", "_https._tcp.local."):
    info = zeroconf.get_service_info(kind, sys.argv[1] + "." + kind, 3000)
    found[kind] = info and {
        "port": info.port,
        "host": info.server,
        "addresses": [socket.inet_ntoa(address) for address in info.addresses],
        "text": {key.decode(): value.decode() for key, value in info.properties.items()},
    }
zeroconf.close()
print(json.dumps(found))
"""


def browse():
    """What zeroconf finds from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", BROWSER, SMGW.lower()], capture_output=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


def address_of(name, wait_s=20.0):
    """The address that a one-shot question by bytes gets (RFC 6762 section 5.1), or None."""
    question = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
    asked = struct.pack(">6H", 7, 0, 1, 0, 0, 0) + question + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(wait_s)
        sock.sendto(asked, GROUP)
        try:
            answer = sock.recv(9000)
        except TimeoutError:
            return None
    record = struct.pack(">2H", 1, 1)  # type A, class IN, as a one-shot answer has it
    at = answer.index(record, len(asked))  # behind the question, which is repeated
    (length,) = struct.unpack_from(">H", answer, at + 8)
    assert length == 4
    return socket.inet_ntoa(answer[at + 10 : at + 14])


def config_of(pki, folder, **han):
    made = han_config(pki, folder, **han)
    return made.model_copy(update={"smgw": made.smgw.model_copy(update={"id": SMGW})})


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki.init(tmp_path_factory.mktemp("pki") / "pki")


async def test_a_gateway_is_found_on_loopback_until_it_stops(tmp_path, pki):
    async with served(config_of(pki, tmp_path, mdns="lo")) as there:
        found = await asyncio.to_thread(browse)
        text = {"txtvers": "1", "id": SMGW, "path": "/smgw/"}
        common = {"port": there.port, "addresses": ["127.0.0.1"], "text": text}
        assert found == {
            "_smgw._tcp.local.": common | {"host": f"{OWN_HOST}."},
            "_https._tcp.local.": common | {"host": "smgw.local."},
        }
        assert await asyncio.to_thread(address_of, "smgw.local") == "127.0.0.1"
        assert await asyncio.to_thread(address_of, OWN_HOST) == "127.0.0.1"
    assert await asyncio.to_thread(address_of, OWN_HOST, 1.5) is None


async def test_by_default_nothing_is_announced_and_no_socket_opened(tmp_path, pki, monkeypatch):
    monkeypatch.setattr(announcement, "_package", lambda: pytest.fail("package was loaded"))
    async with served(config_of(pki, tmp_path)):
        assert await asyncio.to_thread(address_of, OWN_HOST, 0.5) is None


@pytest.mark.skipif(sys.platform != "linux", reason="SO_BINDTODEVICE can be read on Linux only")
async def test_every_socket_is_tied_to_the_interface():
    responder = mdns.Responder(find_place("lo", "127.0.0.1", mdns.adapters()))
    await responder.announce(())
    try:
        transports = {
            wrapped.transport for wrapped in (*responder.engine.readers, *responder.engine.senders)
        }
        assert len(transports) == 2
        for transport in transports:
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16) == b"lo\0"
    finally:
        await responder.withdraw()


async def test_no_more_than_30_multicasts_a_minute_and_the_goodbye_is_among_them(monkeypatch):
    sent = []
    monkeypatch.setattr(mdns.Zeroconf, "async_send", lambda self, out, addr: sent.append(addr))
    responder = mdns.Responder(find_place("lo", "127.0.0.1", mdns.adapters()))
    await responder.announce(())
    for _ in range(100):
        responder.async_send(None)
    responder.async_send(None, "127.0.0.1")
    assert sent == [None] * 27 + ["127.0.0.1"]
    await responder.withdraw()
    for _ in range(100):
        responder.async_send(None)
    assert sent.count(None) == 30


async def test_a_second_gateway_of_the_same_name_is_refused():
    first = Announcement("lo", "127.0.0.1", SMGW)
    second = Announcement("lo", "127.0.0.1", SMGW)
    await first.start(8443)
    try:
        with pytest.raises(EnvironmentProblem, match="announces etst.* already"):
            await second.start(8444)
    finally:
        await second.close()
        await first.close()


async def test_where_a_socket_cannot_be_tied_nothing_is_announced(monkeypatch):
    def refuse(sock, adapter):
        raise OSError("not here")

    monkeypatch.setattr(mdns, "confine", refuse)
    monkeypatch.setattr(mdns.Zeroconf, "async_send", lambda *_: pytest.fail("sent"))
    one = Announcement("lo", "127.0.0.1", SMGW)
    with pytest.raises(EnvironmentProblem, match="cannot announce on lo alone: not here"):
        await one.start(8443)
    await one.close()


def test_without_the_package_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    monkeypatch.delitem(sys.modules, "clsbench.smgw.han.mdns")
    with pytest.raises(EnvironmentProblem, match=r"needs the package zeroconf: pip install"):
        Announcement("lo", "127.0.0.1", SMGW)


@pytest.mark.parametrize(
    ("wanted", "host", "told"),
    [
        ("lo", "127.0.0.1", "127.0.0.1"),
        ("lo", "127.0.0.5", "127.0.0.5"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("eth1", "192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "0.0.0.0", "192.0.2.7"),
        ("lo", "0.0.0.0", "127.0.0.1"),
        ("eth1", "fe80::7%eth1", "fe80::7"),
        ("eth1", "::", "fe80::7"),
    ],
)
def test_the_address_told_is_one_at_which_the_han_listens(wanted, host, told):
    place = find_place(wanted, host, [LO, ETH])
    assert str(place.told) == told and place.own in place.adapter.addresses


@pytest.mark.parametrize(
    ("wanted", "host", "reason"),
    [
        ("eth9", "127.0.0.1", "no such network interface. There are: lo, eth1"),
        ("192.0.2.8", "0.0.0.0", "no such network interface"),
        ("eth1", "127.0.0.1", "no address of this interface"),
        ("lo", "192.0.2.7", "no address of this interface"),
        ("lo", "localhost", "must be an address"),
        ("lo", "::1", "has no multicast"),
    ],
)
def test_what_could_not_be_reached_is_not_announced(wanted, host, reason):
    with pytest.raises(BadInput, match=reason):
        find_place(wanted, host, [LO, ETH])


def test_names_are_the_gateway_and_the_shared_one():
    own, shared = services("ETST0010000001", LO.addresses[0], 8443)
    assert (own.host, shared.host) == ("etst0010000001.local.", "smgw.local.")
    assert own.name == "etst0010000001._smgw._tcp.local."
