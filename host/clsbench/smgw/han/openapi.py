"""The HAN interface described in OpenAPI 3.1: every path, parameter and status there is.

Written by hand beside the routes; tests hold both together. Served at OPENAPI_PATH to everybody
and kept as docs/openapi-han.json.
"""

import json
import sys
from typing import Any

OPENAPI_PATH = "/smgw/openapi.json"
TITLE = "HAN interface of the clsbench Smart Meter Gateway"
VERSION = "1.0.0"

_STATUS = {
    200: "Done.",
    202: "Begun.",
    204: "Done, nothing to tell.",
    307: "Log-in good; the address to use stands in Location.",
    400: "The request or a query parameter is wrong.",
    401: "A log-in is needed or was wrong; the challenge stands in WWW-Authenticate.",
    403: "Not allowed, or the log-in is locked.",
    404: "No such path or resource.",
    405: "The path does not know this method.",
    408: "The body did not come in time.",
    409: "The same thing came before with other content.",
    413: "The body is too large.",
    422: "The body cannot be parsed, or a field is wrong.",
    429: "Too many requests; wait as Retry-After says.",
    431: "The header is too large.",
    503: "The meter gives no reading in time.",
}
_EVERY = (400, 401, 403, 404, 405, 408, 413, 422, 429, 431)
_TIME = {"type": "string", "format": "date-time"}
_QUERY: dict[str, tuple[str, dict[str, Any]]] = {
    "q.fromtime": ("From this time on (inclusive).", _TIME),
    "q.totime": ("Before this time (exclusive).", _TIME),
    "q.type": ("Which readings.", {"type": "string", "enum": ["original", "derived"]}),
    "q.count": ("At most so many, 0 = no limit.", {"type": "integer", "minimum": 0}),
    "q.obis": ("One register, A-B:C.D.E or A-B:C.D.E*F.", {"type": "string"}),
    "q.level": ("This level and graver.", {"type": "string", "enum": ["I", "W", "E", "F"]}),
    "q.signed": (
        "Adds a detached CMS signature over the canonical JSON.",
        {"type": "string", "enum": ["CMS_ECDSA_SHA256_Detached"]},
    ),
}
_ROLE = {"type": "string", "enum": ["con", "srv"]}
_PATH: dict[str, dict[str, Any]] = {
    "role": _ROLE,
    "kind": {"type": "string", "enum": ["rts", "exp"]},
    "type": {"type": "string", "enum": ["consumer", "log", "meter", "reading", "smgw", "taf"]},
    "id": {"type": "string", "minLength": 1, "maxLength": 64, "examples": ["taf7-home"]},
    "uuid": {"type": "string", "format": "uuid"},
    "user": {"type": "string", "minLength": 1},
}

_P = "/smgw/{role}/v1"
_C = "/smgw/cls/v1"
_JSON, _HTML, _CMS = "application/json", "text/html", "application/cms"
_FORM = "application/x-www-form-urlencoded"

# (method, path, summary, query parameters, statuses beside the common ones, security)
PEOPLE = (
    ("get", "/smgw/", "The caller's role.", ("q.signed",), (200,)),
    ("get", f"{_P}/", "Kinds of addresses.", ("q.signed",), (200,)),
    ("get", f"{_P}/fas/", "Actions.", ("q.signed",), (200,)),
    ("post", f"{_P}/fas/selftest", "Begin a self-test.", (), (202,)),
    ("get", f"{_P}/rts/time", "Legal time.", ("q.signed",), (200,)),
    ("get", f"{_P}/{{kind}}/", "Types.", ("q.signed",), (200,)),
    ("get", f"{_P}/{{kind}}/{{type}}/", "Resources of a type.", ("q.signed",), (200,)),
    ("get", f"{_P}/rts/{{type}}/{{id}}", "One resource.", ("q.signed",), (200,)),
    (
        "get",
        f"{_P}/exp/reading/{{id}}",
        "Readings of an evaluation profile.",
        ("q.fromtime", "q.totime", "q.type", "q.count", "q.obis", "q.signed"),
        (200,),
    ),
    (
        "get",
        f"{_P}/exp/log/{{id}}",
        "Entries of a log.",
        ("q.fromtime", "q.totime", "q.level", "q.count", "q.signed"),
        (200,),
    ),
)
BOXES = (
    ("get", f"{_C}/rts/time", "Legal time.", (), (200,)),
    ("post", f"{_C}/fas/event", "Announce an event.", (), (200, 409, 503)),
    ("get", f"{_C}/rts/command/", "Long poll for a command.", ("wait_ms",), (200, 204)),
    ("post", f"{_C}/rts/command/{{uuid}}", "Answer a command.", (), (204, 409)),
    ("post", f"{_C}/rts/record/", "Deliver sealed records.", ("from",), (200, 409)),
)
DIALECTS = (
    ("get", "/smgw/m2m", "CONEXA: where to ask.", (), (307,)),
    ("post", "/smgw/m2m", "CONEXA: where to ask.", (), (307,)),
    ("get", "/smgw/m2m/", "CONEXA: where to ask.", (), (307,)),
    ("post", "/smgw/m2m/", "CONEXA: where to ask.", (), (307,)),
    ("post", "/smgw/m2m/{user}/json", "CONEXA: call a method.", (), (200,)),
    ("get", "/cgi-bin/hanservice.cgi", "PPC: log in, start page.", (), (200,)),
    ("post", "/cgi-bin/hanservice.cgi", "PPC: an action.", (), (200,)),
)


def description() -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    groups = ((PEOPLE, _EVERY, "digest"), (BOXES, _EVERY, "box"), (DIALECTS, _EVERY, "digest"))
    for operations, common, security in groups:
        for method, path, summary, query, statuses in operations:
            own = sorted({*common, *statuses})
            paths.setdefault(path, {})[method] = _operation(
                path, method, summary, query, own, security
            )
    paths[OPENAPI_PATH] = {
        "get": {"summary": "This description.", "responses": {"200": {"description": "It."}}}
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION},
        "paths": paths,
        "components": {
            "securitySchemes": {
                "digest": {"type": "http", "scheme": "digest"},
                "box": {"type": "mutualTLS"},
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}},
                }
            },
        },
    }


def _operation(
    path: str,
    method: str,
    summary: str,
    query: tuple[str, ...],
    statuses: list[int],
    security: str,
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": summary,
        "security": [{security: []}],
        "parameters": [*_path_parameters(path), *map(_query_parameter, query)],
        "responses": {str(code): _response(path, code) for code in statuses},
    }
    if method == "post":
        kind = _FORM if path.startswith("/cgi-bin") else _JSON
        if path == f"{_C}/rts/record/":
            kind = "application/octet-stream"  # sent as application/cbor-seq, which few tools know
        schema: dict[str, Any] = {} if kind == _JSON else {"type": "string"}
        made["requestBody"] = {"content": {kind: {"schema": schema}}}
    return made


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": _PATH[name]} for name in names
    ]


def _query_parameter(name: str) -> dict[str, Any]:
    about, schema = _QUERY.get(name, ("", {"type": "integer", "minimum": 0}))
    return {"name": name, "in": "query", "description": about, "schema": schema}


def _response(path: str, code: int) -> dict[str, Any]:
    told: dict[str, Any] = {"description": _STATUS[code]}
    if code >= 400:
        told["content"] = {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    elif code == 200:
        kinds = (_HTML, _CMS, "text/plain") if path.startswith("/cgi-bin") else (_JSON,)
        told["content"] = {kind: {} for kind in kinds}
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(description(), indent=1) + "\n")
