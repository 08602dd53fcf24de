"""Every forbidden version, suite, curve, certificate and trick is refused at every interface, and
told with its true reason; every required combination is accepted. The rows: matrix_table.

One of the two who try is tlslite-ng, a TLS of another family.
"""

import asyncio
import tempfile
from pathlib import Path

import matrix_answers as answers
import matrix_hellos as hellos
import matrix_lite as lite
import matrix_table as table
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding
from matrix_bench import CALLS, PORTS, SNI, Calls, Ports, Roles, roles
from matrix_kit import (
    accepted,
    all_events,
    answering,
    certificates,
    in_time,
    listening,
    serving,
    swapped_list,
    told_as,
    used,
)
from matrix_table import HAN_ONLY, WAN_ONLY, Row

from clsbench.net.tls_names import GROUPS
from clsbench.net.tls_policy import HAN_SECP256R1, WAN, TlsPolicy
from clsbench.smgw.core.logs import SYSTEM_LOG

pytestmark = pytest.mark.asyncio(loop_scope="module")
GENERIC = ("handshake failure", "TLS handshake failed", "nothing told")
NO_13 = "TLS 1.3 is off here: this OpenSSL has no brainpool curves of RFC 8734, or no way to set"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on():
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        async with roles(Path(folder)) as running:
            yield running


def at_ports(rows) -> list:
    """(row, port) for every port of the row's networks."""
    return [
        pytest.param(row, port, id=f"{row.name}-{port}")
        for row in rows
        for port in PORTS
        if row.networks not in ((WAN_ONLY,) if port == "han" else (HAN_ONLY,))
    ]


def at_calls(rows) -> list:
    return [pytest.param(row, call, id=f"{row.name}-{call}") for row in rows for call in CALLS]


def check(row: Row, reason: str) -> None:
    assert row.reason in reason, f"told: {reason}"
    assert not any(each in reason for each in GENERIC), f"told: {reason}"


@pytest.mark.parametrize(("row", "port"), at_ports(r for r in table.FROM_CLIENTS if r.hello))
async def test_forbidden_hello_is_refused_by_our_server(on: Roles, row: Row, port: str):
    if row.needs_13 and not on.has_13(port):
        pytest.skip(NO_13)
    assert row.hello is not None
    reason, first = await Ports(on).hello(port, row.hello(SNI))
    check(row, reason)
    assert first in (b"", b"\x15")  # an alert, or nothing; never a ServerHello


@pytest.mark.parametrize(("row", "port"), at_ports(r for r in table.FROM_CLIENTS if r.lite))
async def test_forbidden_offer_of_tlslite_is_refused_by_our_server(on: Roles, row: Row, port: str):
    how, identity = lite.settings(**row.lite), on.identity(port)
    number = on.ports[port]
    told = await Ports(on).refused(port, lambda: lite.refused(number, SNI, identity, how))
    check(row, told[0])
    assert told[1]


@pytest.mark.parametrize("port", PORTS)
async def test_renegotiation_is_refused_and_ends_the_session(on: Roles, port: str):
    how, identity, number = lite.settings(), on.identity(port), on.ports[port]
    told, answered = await Ports(on).refused(
        port, lambda: lite.renegotiates(number, SNI, identity, how)
    )
    assert told == "renegotiation attempted" and not answered


@pytest.mark.parametrize(("row", "port"), at_ports(table.CERTIFICATES_OF_CLIENTS))
async def test_certificate_of_a_client_is_refused(on: Roles, row: Row, port: str):
    identity = on.forges[port].make(row.cert) if row.cert else None
    check(row, await Ports(on).certificate(port, identity))


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in table.CERTIFICATES_OF_CLIENTS
        if row.name in ("expired", "revoked", "missing", "wrong-name", "self-signed")
    ],
    ids=lambda row: row.name,
)
async def test_certificate_of_a_client_is_refused_in_tls_1_3(on: Roles, row: Row):
    if not on.has_13("han"):
        pytest.skip(NO_13)
    identity = on.forges["han"].make(row.cert) if row.cert else None
    check(row, await Ports(on).certificate("han", identity, newest=True))


@pytest.mark.parametrize(("row", "port"), at_ports(table.LISTS))
async def test_without_a_sound_revocation_list_nobody_is_let_in(on: Roles, row: Row, port: str):
    with swapped_list(on, row.name, wan=port != "han"):
        reason = await Ports(on).certificate(port, on.identity(port))
    check(row, reason)


@pytest.mark.parametrize(("row", "call"), at_calls(answers.FROM_SERVERS))
async def test_forbidden_answer_is_refused_by_our_client(on: Roles, row: Row, call: str):
    if row.needs_13 and not on.has_13("service"):
        pytest.skip(NO_13)
    assert row.hello is not None
    async with answering(on, row.hello(SNI)) as port:
        check(row, await Calls(on).failing(call, port))


@pytest.mark.parametrize("curve", answers.CURVES_OF_SERVERS, ids=lambda number: GROUPS[number])
@pytest.mark.parametrize("call", CALLS)
async def test_forbidden_curve_is_refused_by_our_client(on: Roles, curve: int, call: str):
    whose = on.pki.gwa.tls if call in ("smgw-gwa", "emt-gwa") else on.pki.emt("flexmarkt").tls
    chain = [each.public_bytes(Encoding.DER) for each in certificates(whose)]
    flight = hellos.server_hello() + hellos.certificate(chain)
    flight += hellos.server_key_exchange(curve, b"\x04" + bytes(132))
    async with answering(on, flight) as port:
        assert "curve not allowed" in await Calls(on).failing(call, port)


@pytest.mark.parametrize(("row", "call"), at_calls(answers.LITE_SERVERS))
async def test_server_of_tlslite_without_anything_allowed_is_refused(
    on: Roles, row: Row, call: str
):
    identity, how = on.forges[call].make("good"), lite.settings(**row.lite)
    with listening(on) as server:
        work = asyncio.create_task(asyncio.to_thread(lite.serve_one, server, identity, how))
        check(row, await Calls(on).failing(call, server.getsockname()[1]))
        assert await work == ""


@pytest.mark.parametrize("call", CALLS[:2])
async def test_renegotiation_asked_for_by_a_server_ends_the_session(on: Roles, call: str):
    identity, how = on.forges[call].make("good"), lite.settings()
    with listening(on) as server:
        work = asyncio.to_thread(lite.serve_one, server, identity, how, True)
        task = asyncio.create_task(work)
        told = await Calls(on).failing(call, server.getsockname()[1])
        await task
    assert told == "renegotiation attempted"


@pytest.mark.parametrize(("row", "call"), at_calls(table.CERTIFICATES_OF_SERVERS))
async def test_certificate_of_a_server_is_refused(on: Roles, row: Row, call: str):
    identity = on.forges[call].make(row.cert)
    async with serving(on, identity) as port:
        check(row, await Calls(on).failing(call, port))


@pytest.mark.parametrize(("row", "call"), at_calls(table.LISTS))
async def test_without_a_sound_revocation_list_no_server_is_trusted(
    on: Roles, row: Row, call: str
):
    async with serving(on, on.forges[call].make("good")) as port:
        with swapped_list(on, row.name, wan=True):
            reason = await Calls(on).failing(call, port)
    check(row, reason)


def combinations(port: str, suites: dict, tls_13: bool = False) -> list[tuple[str, str, dict]]:
    """(suite, curve, settings of tlslite) that must be accepted in a network."""
    groups = table.GROUPS[HAN_ONLY if port == "han" else WAN_ONLY]
    if tls_13:
        groups = [f"{each}tls13" if "brainpool" in each else each for each in groups]
    return [
        (suite, group, how | {"group": group}) for suite, how in suites.items() for group in groups
    ]


@pytest.mark.parametrize("port", PORTS)
async def test_every_suite_on_every_curve_of_tls_1_2_is_accepted(on: Roles, port: str):
    found = combinations(port, table.LITE_SUITES_12)
    assert [await accepted(on, port, *each) for each in found] == [True] * len(found)


@pytest.mark.parametrize("policy", [WAN, HAN_SECP256R1], ids=lambda policy: policy.name)
async def test_every_curve_of_tls_1_2_carries_the_key_agreement(on: Roles, policy: TlsPolicy):
    found = combinations("han" if policy is HAN_SECP256R1 else "channel", table.LITE_SUITES_12)
    assert [await used(on, policy, *each) for each in found] == [True] * len(found)


@pytest.mark.parametrize("port", PORTS)
async def test_every_suite_on_every_curve_of_tls_1_3_is_accepted(on: Roles, port: str):
    if not on.has_13(port):
        pytest.skip(NO_13)
    found = combinations(port, table.LITE_SUITES_13, tls_13=True)
    if not on.has_13("service"):  # no curves of RFC 8734
        found = [each for each in found if "brainpool" not in each[1]]
    assert [await accepted(on, port, *each) for each in found] == [True] * len(found)


@pytest.mark.parametrize("call", CALLS)
async def test_our_clients_take_every_suite_on_every_curve(on: Roles, call: str):
    """tlslite takes the first curve that the client prefers and it knows itself."""
    identity = on.forges[call].make("good")
    for suite, group, how in combinations("service", table.LITE_SUITES_12):
        settings = lite.settings(**how, beside=("brainpoolP256r1",))
        calls = Calls(on, prefers=group)
        with listening(on) as server:
            work = asyncio.to_thread(lite.serve_one, server, identity, settings)
            agreed = await calls.during(call, server.getsockname()[1], in_time(work))
        # the server does not tell the curve of itself in TLS 1.2
        assert agreed.split()[:1] == told_as(suite, group).split()[:1], (suite, group)


async def test_every_refusal_of_the_gateway_is_in_its_system_log(on: Roles):
    events = [each for each in all_events(on) if each["lane_from"] in ("DICAMM", "SMGW")]
    told = [
        each
        for each in events
        if each["name"] in ("tls.refused", "channel.failed", "delivery.failed")
    ]
    log = await on.gateway.worker.run(on.gateway.store.read_log, SYSTEM_LOG, 1, 100_000)
    entries = [each.event for each in log]
    for name in ("tls.refused", "channel.failed", "delivery.failed"):
        count = sum(each["name"] == name for each in told)
        assert count > 0 and entries.count(name) == count, name
