"""The HAN side of TLS against mbedTLS, as MicroPython on a board uses it: P-256 and DER files."""

import asyncio
import sys
from pathlib import Path

import pytest

from clsbench.errors import PeerRefused
from clsbench.net.listener import TlsListener
from clsbench.net.tls import Peer, han_server
from clsbench.pki.layout import ClsFiles, Pki

MICROPYTHON = Path(sys.executable).with_name("micropython")
pytestmark = pytest.mark.skipif(
    not MICROPYTHON.exists(), reason="no MicroPython beside this Python interpreter"
)
CLS_ID = "ETST0020000017"
CLIENT = """
import socket, sys, tls

port, cert, key, trust = sys.argv[1:]
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(open(trust, "rb").read())
context.verify_mode = tls.CERT_REQUIRED
if cert:
    context.load_cert_chain(open(cert, "rb").read(), open(key, "rb").read())
sock = socket.socket()
sock.connect(socket.getaddrinfo("127.0.0.1", int(port))[0][-1])
try:
    stream = context.wrap_socket(sock, server_hostname="etst0010000001.sm")
    stream.write(b"record\\n")
    print(stream.cipher(), stream.readline())
except (OSError, ValueError) as error:
    print("refused", error)
"""


async def board_talks(
    pki: Pki, device: ClsFiles | None, trust: Path
) -> tuple[str, list[Peer], list[str]]:
    """What the client printed, whom the server welcomed, and whom it refused."""
    peers: list[Peer] = []
    refusals: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"got " + await reader.readline())
        writer.close()

    def accept(peer: Peer) -> asyncio.BaseProtocol:
        if peer.role != "CLS":
            raise PeerRefused("not a CLS")
        peers.append(peer)
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), serve)

    context = han_server(pki.smgw_han, pki.han_trust)
    listener = TlsListener(context, accept, lambda reason, _: refusals.append(reason))
    port = await listener.start("127.0.0.1", 0)
    files = (str(device.cert_der), str(device.key_der)) if device else ("", "")
    script = pki.directory.parent / "client.py"
    script.write_text(CLIENT)
    client = await asyncio.create_subprocess_exec(
        MICROPYTHON, script, str(port), *files, trust, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(client.communicate(), 120)
    await listener.close()
    return out.decode(), peers, refusals


async def test_board_with_its_certificate_is_served(pki: Pki):
    out, peers, refusals = await board_talks(pki, pki.cls_files(CLS_ID), pki.han_trust_der)
    assert "ECDHE-ECDSA-WITH-AES-128-GCM-SHA256" in out and "got record" in out
    assert [peer.name for peer in peers] == [CLS_ID] and refusals == []


async def test_board_without_certificate_is_refused(pki: Pki):
    out, peers, refusals = await board_talks(pki, None, pki.han_trust_der)
    assert out.startswith("refused") and peers == []
    assert refusals == ["no certificate shown"]


async def test_board_refuses_a_gateway_of_another_ca(pki: Pki, tmp_path: Path):
    foreign = Pki.init(tmp_path / "foreign")
    out, peers, refusals = await board_talks(pki, pki.cls_files(CLS_ID), foreign.han_trust_der)
    assert "not correctly signed by the trusted CA" in out and peers == []
    assert refusals == ["the other side refused: unknown CA"]
