"""A gateway with two seeded days, served over TLS, and a client written from the documents alone.

The client is http.client with a Digest of its own: it shares nothing with the server.
"""

import asyncio
import hashlib
import http.client
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from clsbench.pki.layout import DEFAULT_GWA, DEFAULT_SMGW, Pki
from clsbench.smgw.config import SmgwConfig
from clsbench.smgw.core.clock_state import TimeState
from clsbench.smgw.core.grid import Slot
from clsbench.smgw.core.originals import slot_originals
from clsbench.smgw.core.readings import OriginalReading, Value
from clsbench.smgw.service import Gateway

METER, OTHER_METER = "1EMH0098765432", "1EMH0098765433"
FIRST_MS = 1_790_805_600_000  # 2026-10-01 00:00 German time
QUARTER_MS = 900_000
ROWS = 193  # two days and the first of the third
NOW_MS = FIRST_MS + 192 * QUARTER_MS + 120_000
FIRST_RAW = 12_345_678
LOGIN, PASSWORD = "consumer1", "a password for the lab only"
OTHER, OTHER_PASSWORD = "consumer2", "another one"
TECHNICIAN, TECHNICIAN_PASSWORD = "technician", "yet another"


def han_config(pki: Pki, folder: Path, more: dict[str, Any] | None = None, **han: Any):
    """Two meters, two consumers, a technician; the bench clock stands shortly after the rows."""
    taf = {"number": 7, "meter_id": METER, "final_consumer": "c-1", "tariff_name": "quarters"}
    sections: dict[str, Any] = {
        "smgw": {
            "id": DEFAULT_SMGW,
            "state_dir": folder / "state",
            "event_log": str(folder / "events"),
            "clock": f"utc_ms={NOW_MS}",
        },
        "pki": {"dir": pki.directory},
        "han": {"dialects": ["conexa", "ppc"]} | han,
        "gwa": {"name": DEFAULT_GWA, "port": 1},
        "consumer": [
            {"name": "c-1", "login": LOGIN, "password": PASSWORD, "customer_id": "C-1"},
            {"name": "c-2", "login": OTHER, "password": OTHER_PASSWORD},
        ],
        "service": [{"name": "t-1", "login": TECHNICIAN, "password": TECHNICIAN_PASSWORD}],
        "lmn": [
            {"port": str(folder / "no-port-1"), "meter_id": METER},
            {"port": str(folder / "no-port-2"), "meter_id": OTHER_METER},
        ],
        "taf": [
            taf | {"id": "taf1-home", "number": 1, "usage_point_id": "DE1"},
            taf | {"id": "taf7-home"},
            taf | {"id": "taf7-other", "meter_id": OTHER_METER, "final_consumer": "c-2"},
        ],
    }
    return SmgwConfig.model_validate(sections | (more or {}))


def rows(meter: str):
    """Import and export of a meter every quarter hour, each captured a second late."""
    for place in range(ROWS):
        due_ms = FIRST_MS + place * QUARTER_MS
        values = (
            Value("1-0:1.8.0*255", FIRST_RAW + 100 * place, -1, 30),
            Value("1-0:2.8.0*255", 1000 + place, -1, 30),
            Value("1-0:16.7.0*255", 400, 0, 27),
        )
        reading = OriginalReading(meter, due_ms + 1000, values, 0x1C0104)
        yield from slot_originals(meter, Slot(due_ms, reading), TimeState(), [])


@asynccontextmanager
async def served(config: SmgwConfig) -> AsyncIterator["Served"]:
    """The gateway of a config, with its rows, and no meter at its ports."""
    gateway = Gateway(config)
    try:
        for meter in (METER, OTHER_METER):
            await gateway.worker.run(gateway.archive.add_originals, list(rows(meter)))
        ports = await gateway.start()
        yield Served(gateway, ports["han"])
    finally:
        while Client.open:
            Client.open.pop().close()
        await gateway.stop()


@dataclass
class Served:
    """A running gateway and its HAN port."""

    gateway: Gateway
    port: int

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        """Runs a client's blocking work in a thread."""
        return await asyncio.to_thread(work, *args)


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """An HTTPS client without a certificate. login "": sends no Authorization ever.

    algorithm: what it computes with, whatever the challenge says. stale_uri: answers with this
    uri instead of the one asked for. preemptive: keeps a challenge and uses it again.
    Whoever is still open when the gateway ends is closed then.
    """

    open: ClassVar[list["Client"]] = []

    def __init__(
        self,
        port: int,
        login: str = LOGIN,
        password: str = PASSWORD,
        algorithm: str = "SHA-256",
        source: str = "127.0.0.1",
        preemptive: bool = True,
        cert: Any = None,
    ):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if cert is not None:
            context.load_cert_chain(cert.cert, cert.key)
        self.http = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=60, context=context, source_address=(source, 0)
        )
        self.login, self.password, self.algorithm = login, password, algorithm
        self.preemptive = preemptive
        self.stale_uri = ""
        self.cookies: dict[str, str] = {}
        self.challenge: dict[str, str] = {}
        self.count = 0
        self.sent_bare = 0
        Client.open.append(self)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One exchange, with the log-in where it is asked for."""
        if self.challenge and self.preemptive and self.login:
            answer = self.send(method, path, body, self.authorization(method, path), headers)
        else:
            self.sent_bare += 1
            answer = self.send(method, path, body, None, headers)
        if answer.status != 401 or not self.login:
            return answer
        told = answer.headers["WWW-Authenticate"]
        assert told.startswith("Digest ")
        self.challenge = {
            name: quoted or plain
            for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', told)
        }
        self.count = 0
        return self.send(method, path, body, self.authorization(method, path), headers)

    def send(self, method, path, body, authorization, headers) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if authorization:
            sent["Authorization"] = authorization
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        data = json.dumps(body) if isinstance(body, dict) else body
        self.http.request(method, path, data, sent)
        got = self.http.getresponse()
        answer = Answer(got.status, got.headers, got.read())
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def authorization(self, method: str, path: str, uri: str = "") -> str:
        """The header, made as RFC 7616 says."""
        made_by = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[self.algorithm]

        def digest(text: str) -> str:
            return made_by(text.encode()).hexdigest()

        self.count += 1
        uri = uri or self.stale_uri or path
        realm, nonce = self.challenge["realm"], self.challenge["nonce"]
        nc, cnonce = f"{self.count:08x}", "0a4f113b"
        secret = digest(f"{self.login}:{realm}:{self.password}")
        response = digest(f"{secret}:{nonce}:{nc}:{cnonce}:auth:{digest(f'{method}:{uri}')}")
        return (
            f'Digest username="{self.login}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
            f'response="{response}", algorithm={self.algorithm}, qop=auth, nc={nc}, '
            f'cnonce="{cnonce}"'
        )

    def close(self) -> None:
        self.http.close()
