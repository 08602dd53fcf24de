"""The CONEXA dialect, asked as its clients ask: 307, MD5, stale address, scalars as strings."""

import json

import pytest
import pytest_asyncio
from han_kit import (
    FIRST_RAW,
    LOGIN,
    METER,
    OTHER,
    OTHER_PASSWORD,
    ROWS,
    TECHNICIAN,
    TECHNICIAN_PASSWORD,
    Client,
    han_config,
    served,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
OWN = f"/smgw/m2m/{LOGIN}.sm/json"
TAF7 = {"usage-point-id": "taf7-home"}
IMPORT = "0100010800ff"
DAY = {"fromtime": "2026-10-01T22:00:00Z", "totime": "2026-10-02T22:00:00Z"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(pki, tmp_path_factory):
    async with served(han_config(pki, tmp_path_factory.mktemp("conexa"))) as running:
        yield running


def _scalars(document):
    if isinstance(document, dict):
        return [one for value in document.values() for one in _scalars(value)]
    if isinstance(document, list):
        return [one for value in document for one in _scalars(value)]
    return [document]


async def _call(gateway, method, **options):
    """The answer's object named like the method; its other fields are as they should be."""

    def work(port):
        client = Client(port, **options)
        answer = client.ask("POST", OWN, {"method": method[0]} | method[1])
        client.close()
        return answer

    answer = await gateway.run(work, gateway.port)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("application/json")
    told = answer.json()
    assert told["method"] == method[0] and told["elapsed-time"].endswith(" miliseconds")
    assert told["version"] == "1.3.0" and len(told) == 4
    assert all(one is None or isinstance(one, str) for one in _scalars(told))
    return told[method[0]]


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/smgw/m2m", "/smgw/m2m/"])
async def test_the_root_sends_a_client_to_its_own_address_once_it_has_logged_in(
    gateway, verb, path
):
    def work(port):
        client = Client(port)
        bare = client.send(verb, path, None, None, {}).status
        answer = client.ask(verb, path, b"not json", Content_Type="text/plain")
        client.close()
        return bare, answer.status, answer.headers["Location"]

    assert await gateway.run(work, gateway.port) == (401, 307, OWN)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_the_header_made_for_the_root_is_good_at_the_address_it_leads_to(gateway, algorithm):
    def work(port):
        client = Client(port, algorithm=algorithm)
        client.ask("POST", "/smgw/m2m/", {"method": "smgw-info"})
        made = client.authorization("POST", "/smgw/m2m/")
        body = json.dumps({"method": "smgw-info"})
        headers = {"Content-Type": "application/json", "X-Content-Length": "7"}
        found = [
            client.send("POST", path, body, made, headers).status
            for path in ("/smgw/m2m/", OWN, OWN)
        ]
        client.close()
        return found

    assert await gateway.run(work, gateway.port) == [307, 200, 200]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_client_gets_value_time_register_scaler_and_unit(gateway, algorithm):
    how = {"algorithm": algorithm}
    points = (await _call(gateway, ("user-info", {}), **how))["usage-points"]
    running = [p for p in points if p["taf-state"] == "running" and p["taf-number"] == "7"]
    asked = {"usage-point-id": running[0]["usage-point-id"], "database": "origin"}
    info = await _call(gateway, ("usage-point-info", asked), **how)
    channels = info["databases"][0]["channels"]
    assert channels[0] == {"obis": IMPORT, "scaler": "-1", "unit": "30"}
    assert {channel["unit"] for channel in channels} == {"30"}
    told = await _call(gateway, ("readings", asked | {"last-reading": "true"}), **how)
    assert [channel["obis"] for channel in told["channels"]] == [c["obis"] for c in channels]
    (reading,) = told["channels"][0]["readings"]
    assert reading["value"] == str(FIRST_RAW + 100 * (ROWS - 1))
    assert reading["capture-time"] == "2026-10-02T22:00:01Z"
    assert reading["target-time"] == "2026-10-02T22:00:00Z"
    assert reading["cosem-status"] == reading["smgw-status"] + reading["meter-status"]
    assert told["records"] == "2"


async def test_usage_points_say_what_clients_choose_by(gateway):
    points = (await _call(gateway, ("user-info", {})))["usage-points"]
    assert [point["taf-number"] for point in points] == ["1", "7"]
    assert points[0]["metering-point-id"] == "DE1"
    assert points[0]["billing-Periods"] == [
        {"start-time": "2026-09-30T22:00:00Z", "end-time": "2026-10-31T23:00:00Z"}
    ]
    assert points[1]["meter"] == [{"meter-id": METER.lower()}]
    assert points[1]["capture-time"] == "2026-10-02T22:00:01Z"


async def test_a_span_begins_after_its_begin_and_ends_with_its_end(gateway):
    told = await _call(gateway, ("readings", TAF7 | DAY))
    rows = told["channels"][0]["readings"]
    assert len(rows) == 96 and told["records"] == "192"
    assert rows[0]["target-time"] == "2026-10-01T22:15:00Z"
    assert rows[-1]["target-time"] == "2026-10-02T22:00:00Z"


async def test_the_last_reading_may_be_asked_for_as_json_true_and_for_one_channel(gateway):
    asked = TAF7 | {"last-reading": True, "channels": [{"channel": IMPORT}]}
    told = await _call(gateway, ("readings", asked))
    assert [channel["obis"] for channel in told["channels"]] == [IMPORT]


async def test_an_empty_span_is_empty_lists(gateway):
    span = {"fromtime": "2026-01-01T00:00:00", "totime": "2026-01-02T00:00:00"}
    told = await _call(gateway, ("readings", TAF7 | span))
    assert told == {
        "channels": [{"obis": IMPORT, "readings": []}, {"obis": "0100020800ff", "readings": []}],
        "records": "0",
    }
    assert await _call(gateway, ("log", span)) == {"entries": [], "records": "0"}


async def test_a_long_october_is_one_request(gateway):
    span = {"fromtime": "2026-09-30T22:00:00Z", "totime": "2026-10-31T23:00:00Z"}
    assert (await _call(gateway, ("readings", TAF7 | span)))["records"] == "384"


async def test_the_log_has_numbered_entries_and_may_begin_at_one_of_them(gateway):
    entries = (await _call(gateway, ("log", {})))["entries"]
    assert entries[0]["index"] == "1" and entries[0]["event-id"].isdigit()
    assert set(entries[0]) == {
        "index", "event-id", "event-sub-id", "level", "message", "outcome",
        "subject-identity", "time", "user-identity", "vendor-id", "version",
    }  # fmt: skip
    second = await _call(gateway, ("log", {"fromindex": "2", "count": 1}))
    assert [entry["index"] for entry in second["entries"]] == ["2"] and second["records"] == "1"


async def test_the_gateway_tells_certificates_firmware_and_time(gateway):
    info = await _call(gateway, ("smgw-info", {}))
    assert set(info) == {"certificates", "firmware-info", "smgw-id", "smgw-state", "smgw-time"}
    pem = bytes.fromhex(info["certificates"]["han"]["tls"])
    assert pem.startswith(b"-----BEGIN CERTIFICATE-----")
    assert set(info["certificates"]["wan"][0]) == {"cert-index", "sig", "sub-ca"}
    assert len(info["firmware-info"]["hash"]) == 64 and len(info["smgw-state"]) == 8
    assert info["smgw-time"].startswith("2026-10-02T22:0")


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("POST", OWN, "{", 400),
        ("POST", OWN, "[]", 400),
        ("POST", OWN, '{"method": 7}', 400),
        ("POST", OWN, '{"method": "explode"}', 400),
        ("POST", OWN, '{"method": "readings"}', 400),
        ("POST", OWN, '{"method": "readings", "usage-point-id": "\\ud800"}', 400),
        ("POST", OWN, '{"method": "readings", "usage-point-id": "taf7-other"}', 404),
        ("POST", OWN, json.dumps({"method": "readings", "database": "x"} | TAF7), 400),
        ("POST", OWN, json.dumps({"method": "readings", "fromtime": "x"} | TAF7), 400),
        ("POST", OWN, json.dumps({"method": "readings", "fromtime": 7} | TAF7), 400),
        ("POST", OWN, json.dumps({"method": "readings", "fromtime": "2026-08-01"} | TAF7), 400),
        (
            "POST",
            OWN,
            json.dumps({"method": "log", "fromindex": "1", "totime": "2026-10-01"}),
            400,
        ),
        ("POST", OWN, "[" * 60_000, 400),
        ("GET", OWN, None, 405),
        ("DELETE", "/smgw/m2m", None, 405),
        ("POST", "/smgw/m2m/consumer2.sm/json", "{}", 404),
        ("POST", "/smgw/m2m/nothing", "{}", 404),
    ],
)
async def test_what_is_wrong_has_its_status(gateway, verb, path, body, status):
    def work(port):
        client = Client(port)
        answer = client.ask(verb, path, body)
        client.close()
        return answer.status

    assert await gateway.run(work, gateway.port) == status


async def test_each_user_has_an_address_of_its_own_and_technicians_none(gateway):
    def work(port):
        found = []
        for login in ((OTHER, OTHER_PASSWORD), (TECHNICIAN, TECHNICIAN_PASSWORD)):
            client = Client(port, *login)
            answer = client.ask("GET", "/smgw/m2m")
            found.append((answer.status, answer.headers["Location"]))
            client.close()
        return found

    assert await gateway.run(work, gateway.port) == [
        (307, f"/smgw/m2m/{OTHER}.sm/json"),
        (403, None),
    ]


async def test_without_the_dialect_the_address_does_not_exist(pki, tmp_path):
    async with served(han_config(pki, tmp_path, dialects=[])) as gateway:

        def work(port):
            return [Client(port).ask("GET", p).status for p in ("/smgw/m2m", "/cgi-bin/x")]

        assert await gateway.run(work, gateway.port) == [404, 404]


async def test_a_self_test_soon_after_another_is_refused(gateway):
    def work(port):
        client = Client(port)
        return [client.ask("POST", OWN, {"method": "self-test"}).status for _ in range(2)]

    assert await gateway.run(work, gateway.port) == [200, 403]
