"""The OpenAPI description and the interface: the same paths, and no status it does not name.

The requests are drawn from the description itself, valid and damaged ones; schemathesis does the
same with its own generator where it is installed (tools/schemathesis_han.py).
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from han_kit import Client, han_config, served
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from clsbench.smgw.han.openapi import BOXES, DIALECTS, OPENAPI_PATH, PEOPLE, description
from clsbench.smgw.han.people import PeopleResources
from clsbench.smgw.rest import Router

DOCS = Path(__file__).parents[2] / "docs" / "openapi-han.json"
EXAMPLES = 150
pytestmark = pytest.mark.asyncio(loop_scope="module")

_NAMES = st.sampled_from(
    ["taf7-home", "taf7-other", "consumer", "system", "c-1", "1emh0098765432", "etst0010000001"]
)
_ODD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=70)
_TIMES = st.sampled_from(["2026-10-01", "2026-10-01T00:00:00Z", "2026-10-02T00:00:00+02:00"])
_SPECIAL = {
    "q.fromtime": _TIMES,
    "q.totime": _TIMES,
    "q.obis": st.sampled_from(["1-0:1.8.0", "1-0:2.8.0*255"]),
    "q.count": st.integers(0, 10).map(str),
}
_METHODS = ["smgw-info", "user-info", "usage-point-info", "readings", "log", "self-test"]
_ACTIONS = (
    *("meterform", "showMeterProfile", "showMeterValues", "exportMeterValues"),
    *("exportMeterProfile", "exportLogData", "tariffform", "showTariffProfile"),
    *("swversions", "logout"),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(pki, tmp_path_factory):
    config = han_config(
        pki, tmp_path_factory.mktemp("openapi"), requests_per_min=1_000_000, lock_tries=1000
    )
    async with served(config) as running:
        yield running


async def test_the_description_in_the_docs_is_the_one_that_is_served(gateway):
    def work(port):
        return Client(port, "").ask("GET", OPENAPI_PATH)

    answer = await gateway.run(work, gateway.port)
    assert answer.status == 200 and answer.json() == description()
    assert json.loads(DOCS.read_text("utf-8")) == description(), (
        "write it anew: python -m clsbench.smgw.han.openapi > docs/openapi-han.json"
    )


async def test_every_described_path_has_its_route_and_every_route_its_description():
    router = Router(lambda *_: None)
    resources = PeopleResources.__new__(PeopleResources)
    resources.add_to(router)
    routes = [(method, pattern) for method, pattern, _ in router._routes]
    described = [(method.upper(), _filled(path)) for method, path, *_ in PEOPLE]
    assert len(described) == len(routes)
    for method, pattern in routes:
        fitting = [path for verb, path in described if verb == method and pattern.fullmatch(path)]
        assert fitting, pattern.pattern
    for verb, path in described:
        assert any(verb == m and p.fullmatch(path) for m, p in routes), path


def _filled(path: str) -> str:
    ready = {"role": "con", "kind": "rts", "type": "taf", "id": "x"}
    return re.sub(r"\{(\w+)\}", lambda match: ready[match[1]], path)


def _strategy(draw: Any, parameter: dict[str, Any]) -> str:
    schema, name = parameter["schema"], parameter["name"]
    if draw(st.integers(0, 5)) == 0:
        return draw(_ODD)
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    return draw(_SPECIAL.get(name, _NAMES))


@st.composite
def requests(draw):
    """(method, path with query, body, the operation's description) of any operation."""
    paths = description()["paths"]
    operations = [(m, p, o) for p, own in paths.items() for m, o in own.items()]
    method, path, operation = draw(st.sampled_from(operations))
    query = []
    for parameter in operation.get("parameters", []):
        value = _strategy(draw, parameter)
        if parameter["in"] == "path":
            if parameter["name"] == "user":
                value = "consumer1.sm"
            path = path.replace(f"{{{parameter['name']}}}", quote(value, safe=""))
        elif draw(st.booleans()):
            query.append(f"{parameter['name']}={quote(value, safe='')}")
    target = path + ("?" + "&".join(query) if query else "")
    return method.upper(), target, draw(_bodies(path)), operation


def _bodies(path: str) -> st.SearchStrategy:
    if path.startswith("/cgi-bin"):
        fields = st.dictionaries(st.sampled_from(["mid", "tid", "from", "to"]), _ODD, max_size=3)
        form = st.tuples(st.sampled_from(_ACTIONS), fields).map(
            lambda pair: "&".join(
                f"{k}={quote(v)}" for k, v in ({"action": pair[0]} | pair[1]).items()
            ).encode()
        )
        return form | st.binary(max_size=40)
    asked = st.fixed_dictionaries(
        {"method": st.sampled_from(_METHODS)},
        optional={
            "usage-point-id": st.just("taf7-home") | _JSON,
            "database": st.sampled_from(["origin", "derived", "daily"]) | _JSON,
            "last-reading": st.just("true") | _JSON,
            "fromtime": _TIMES | _JSON,
            "totime": _TIMES | _JSON,
            "fromindex": _JSON,
            "count": _JSON,
            "channels": _JSON,
        },
    )
    return asked.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=40)


@pytest.mark.parametrize("login", ["consumer1", "technician", ""])
async def test_no_request_of_the_description_gets_a_status_it_does_not_name(gateway, login):
    password = {"consumer1": "a password for the lab only", "technician": "yet another"}

    def work(port):
        client = Client(port, login, password.get(login, ""))
        seen: set[int] = set()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(requests())
        def ask(request):
            method, target, body, operation = request
            answer = client.ask(method, target, body if method == "POST" else None)
            seen.add(answer.status)
            assert answer.status < 500
            assert str(answer.status) in operation["responses"], (method, target, answer.body)
            if answer.status >= 400:
                assert set(answer.json()) == {"error"}

        ask()
        client.close()
        return seen

    seen = await gateway.run(work, gateway.port)
    assert seen >= ({401} if not login else {200, 404})


async def test_the_dialects_are_described_too():
    paths = description()["paths"]
    for method, path, *_ in (*BOXES, *DIALECTS):
        assert method in paths[path]
