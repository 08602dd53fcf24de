"""The HAN for people over TLS: resources, exports, signatures, log-in, lock-out, rate."""

import base64
import json
import ssl
import subprocess

import pytest
import pytest_asyncio
from cryptography import x509
from han_kit import (
    FIRST_MS,
    FIRST_RAW,
    LOGIN,
    METER,
    NOW_MS,
    OTHER,
    OTHER_PASSWORD,
    PASSWORD,
    QUARTER_MS,
    TECHNICIAN,
    TECHNICIAN_PASSWORD,
    Client,
    han_config,
    served,
)

from clsbench.pki.names import fingerprint
from clsbench.smgw.han.signing import DETACHED, canonical

pytestmark = pytest.mark.asyncio(loop_scope="module")
CON = "/smgw/con/v1/"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(pki, tmp_path_factory):
    config = han_config(pki, tmp_path_factory.mktemp("han"), lock_tries=3, requests_per_min=400)
    async with served(config) as running:
        yield running


def _get(path, login=LOGIN, password=PASSWORD, **options):
    """A client's work: one GET."""

    def work(port):
        client = Client(port, login, password, **options)
        try:
            return client.ask("GET", path)
        finally:
            client.close()

    return work


@pytest.mark.parametrize(
    ("path", "children"),
    [
        ("/smgw/", ["con/v1/"]),
        (CON, ["exp/", "fas/", "rts/"]),
        (f"{CON}fas/", ["selftest"]),
        (f"{CON}rts/", ["consumer/", "log/", "meter/", "smgw/", "taf/", "time"]),
        (f"{CON}exp/", ["log/", "reading/"]),
        (f"{CON}rts/taf/", ["taf1-home", "taf7-home"]),
        (f"{CON}exp/reading/", ["taf1-home", "taf7-home"]),
        (f"{CON}rts/meter/", [METER.lower()]),
        (f"{CON}rts/consumer/", ["c-1"]),
        (f"{CON}exp/log/", ["calibration", "consumer"]),
    ],
)
async def test_lists_show_what_is_the_callers_own(gateway, path, children):
    answer = await gateway.run(_get(path), gateway.port)
    assert answer.status == 200 and answer.json() == {"children": children}
    assert answer.headers["Content-Type"] == "application/json"


async def test_readings_carry_value_times_register_scaler_unit_and_status(gateway):
    path = f"{CON}exp/reading/taf7-home?q.obis=1-0:1.8.0&q.count=2&q.fromtime=2026-09-30T22:15:00Z"
    told = (await gateway.run(_get(path), gateway.port)).json()
    due_ms = FIRST_MS + QUARTER_MS
    assert told["readings"][0] == {
        "obis": "1-0:1.8.0*255",
        "raw": FIRST_RAW + 100,
        "scaler": -1,
        "unit": 30,
        "captured_ms": due_ms + 1000,
        "due_ms": due_ms,
        "status": "A000000020803800",
        "ptb": 0,
        "time_state": "synchronised",
    }
    assert len(told["readings"]) == 2


async def test_the_begin_of_a_span_is_in_it_and_its_end_is_not(gateway):
    span = "q.fromtime=2026-10-01T00:00:00%2B02:00&q.totime=2026-10-02T00:00:00+02:00"
    path = f"{CON}exp/reading/taf7-home?{span}&q.obis=1-0:1.8.0*255"
    rows = (await gateway.run(_get(path), gateway.port)).json()["readings"]
    assert len(rows) == 96 and rows[0]["due_ms"] == FIRST_MS


async def test_a_signature_holds_over_the_canonical_content_and_nothing_else(gateway, tmp_path):
    path = f"{CON}exp/reading/taf7-home?q.count=3&q.signed={DETACHED}"
    answer = await gateway.run(_get(path), gateway.port)
    told = answer.json()
    (tmp_path / "p7").write_bytes(base64.b64decode(told["signature"]))
    begin = answer.body.index(b'{"taf"')
    content = answer.body[begin : answer.body.rindex(b',"signature"')]
    assert json.loads(content) == told["content"] and canonical(content) == content
    for name, text, good in (("good", content, True), ("bad", content[:-1] + b" ", False)):
        (tmp_path / name).write_bytes(text)
        done = await gateway.run(_verify, tmp_path / "p7", tmp_path / name)
        assert (done.returncode == 0) is good, done.stderr


def _verify(signature, content):
    verify = ["openssl", "cms", "-verify", "-binary", "-noverify", "-inform", "DER"]
    files = ["-in", str(signature), "-content", str(content)]
    return subprocess.run([*verify, *files], capture_output=True, check=False)


@pytest.mark.parametrize(
    "query",
    [
        "q.fromtime=yesterday",
        "q.count=-1",
        "q.count=1&q.count=2",
        "q.type=best",
        "q.obis=1.8.0",
        "q.signed=yes",
        "q.level=I",
        "count=1",
        "q.fromtime=2026-01-01&q.totime=2026-12-31",
        "q.fromtime=9999-12-31T23:59:59Z",
    ],
)
async def test_a_query_that_is_wrong_is_answered_400(gateway, query):
    answer = await gateway.run(_get(f"{CON}exp/reading/taf7-home?{query}"), gateway.port)
    assert answer.status == 400 and "quer" in answer.json()["error"] + "query"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{CON}exp/reading/taf7-other", 404),
        (f"{CON}rts/taf/taf7-other", 404),
        (f"{CON}rts/meter/1emh0098765433", 404),
        (f"{CON}rts/meter/{METER}", 404),
        (f"{CON}exp/log/system", 404),
        (f"{CON}rts/consumer/c-2", 404),
        ("/smgw/srv/v1/", 403),
        ("/smgw/cls/v1/rts/time", 404),
        ("/nothing", 404),
    ],
)
async def test_what_is_anothers_is_not_there(gateway, path, status):
    assert (await gateway.run(_get(path), gateway.port)).status == status


async def test_a_technician_sees_meters_and_the_system_log_and_no_readings(gateway):
    who = (TECHNICIAN, TECHNICIAN_PASSWORD)
    meters = await gateway.run(_get("/smgw/srv/v1/rts/meter/", *who), gateway.port)
    assert len(meters.json()["children"]) == 2
    log = await gateway.run(_get("/smgw/srv/v1/exp/log/system", *who), gateway.port)
    assert "start" in {entry["event"] for entry in log.json()["entries"]}
    for path in ("/smgw/srv/v1/exp/reading/taf7-home", f"{CON}exp/reading/taf7-home"):
        assert (await gateway.run(_get(path, *who), gateway.port)).status == 403


async def test_a_self_test_is_begun_once_in_ten_minutes(gateway):
    def work(port):
        client = Client(port)
        first = client.ask("POST", f"{CON}fas/selftest")
        second = client.ask("POST", f"{CON}fas/selftest")
        log = client.ask("GET", f"{CON}exp/log/consumer")
        client.close()
        return first.status, second.status, [one["event"] for one in log.json()["entries"]]

    first, second, events = await gateway.run(work, gateway.port)
    assert (first, second) == (202, 403)
    assert "selftest" in events and "han.login" in events


async def test_the_strict_rules_hold_on_these_resources(gateway):
    def work(port):
        wrong = []
        for algorithm, stale_uri in (("MD5", ""), ("SHA-256", "/smgw/")):
            client = Client(port, algorithm=algorithm)
            client.stale_uri = stale_uri
            wrong.append(client.ask("GET", CON).status)
            client.close()
        client = Client(port)
        client.ask("GET", CON)
        same = client.authorization("GET", CON)
        twice = [client.send("GET", CON, None, same, {}).status for _ in range(2)]
        client.close()
        return wrong, twice

    wrong, twice = await gateway.run(work, gateway.port)
    assert wrong == [401, 401]
    assert twice == [200, 401]


async def test_wrong_passwords_lock_that_log_in_at_that_address_alone(gateway):
    def work(port):
        thief = [_get(CON, LOGIN, "guess", source="127.0.0.9")(port).status for _ in range(3)]
        locked = _get(CON, source="127.0.0.9")(port)
        others = (
            _get(CON, OTHER, OTHER_PASSWORD, source="127.0.0.9")(port).status,
            _get(CON, source="127.0.0.10")(port).status,
            Client(port, "", source="127.0.0.9").ask("GET", CON).status,
        )
        return thief, locked, others

    thief, locked, others = await gateway.run(work, gateway.port)
    assert thief == [401, 401, 401]
    assert locked.status == 403 and int(locked.headers["Retry-After"]) > 0
    assert others == (200, 200, 401)


async def test_a_connection_that_knew_the_password_is_not_locked_by_others(gateway):
    def work(port):
        known = Client(port, source="127.0.0.11")
        known.ask("GET", CON)
        for _ in range(5):
            _get(CON, LOGIN, "guess", source="127.0.0.11")(port)
        status = known.ask("GET", CON).status
        known.close()
        return status, _get(CON, source="127.0.0.11")(port).status

    assert await gateway.run(work, gateway.port) == (200, 403)


async def test_requests_without_authorization_count_for_nothing(gateway):
    def work(port):
        client = Client(port, "", source="127.0.0.12")
        bare = {client.ask("GET", CON).status for _ in range(600)}
        client.close()
        return bare, _get(CON, source="127.0.0.12")(port).status

    assert await gateway.run(work, gateway.port) == ({401}, 200)


async def test_too_many_requests_of_a_person_are_told_when_to_come_back(pki, tmp_path):
    async with served(han_config(pki, tmp_path, requests_per_min=5)) as gateway:

        def work(port):
            client = Client(port)
            statuses = [client.ask("GET", CON).status for _ in range(7)]
            other = _get(CON, OTHER, OTHER_PASSWORD)(port).status
            late = client.ask("GET", CON).headers["Retry-After"]
            return statuses, other, late

        statuses, other, late = await gateway.run(work, gateway.port)
    assert statuses == [200] * 5 + [429] * 2
    assert other == 200 and int(late) >= 1


async def test_a_certificate_in_a_profile_is_a_way_in_too(pki, tmp_path):
    own = pki.issue_han_to(tmp_path / "con", "c-1.con")
    pin = fingerprint(x509.load_pem_x509_certificate(own.cert.read_bytes()))
    people = [{"name": "c-1", "fingerprint": pin}, {"name": "c-2"}]
    config = han_config(pki, tmp_path, {"consumer": people, "service": []})
    async with served(config) as gateway:
        told = await gateway.run(_get(f"{CON}rts/taf/", "", cert=own), gateway.port)
        assert told.json() == {"children": ["taf1-home", "taf7-home"]}
        stranger = pki.issue_han_to(tmp_path / "no", "c-3.con")
        for cert in (None, stranger):
            with pytest.raises((ssl.SSLError, OSError)):
                await gateway.run(_get(CON, "", cert=cert), gateway.port)


@pytest.mark.parametrize("curve", ["secp256r1", "secp384r1", "brainpoolP256r1"])
async def test_the_curve_is_the_configured_one(pki, tmp_path, curve):
    """Today's clients offer NIST curves and no brainpool: on it, they fail in the handshake."""
    async with served(han_config(pki, tmp_path, curve=curve)) as gateway:

        def work(port):
            groups = "X25519:P-256:X448:P-521:P-384"
            command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-groups", groups]
            return subprocess.run(
                command, input=b"", capture_output=True, check=False, timeout=120
            ).stdout.decode()

        told = await gateway.run(work, gateway.port)
    shown = curve.replace("secp256r1", "prime256v1")
    assert (f"Server Temp Key: ECDH, {shown}" in told) is not curve.startswith("brainpool")


async def test_time_is_the_gateways(gateway):
    told = (await gateway.run(_get(f"{CON}rts/time"), gateway.port)).json()
    assert NOW_MS <= told["utc_ms"] < NOW_MS + 600_000 and told["state"] == "synchronised"
