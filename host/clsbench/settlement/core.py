"""Input document in, result document out: the three modes behind `clsbench settle`.

Integers only; no file, no clock, no float, no locale. The same document always gives the same
result, in whatever order its entries stand.
"""

from collections.abc import Mapping
from typing import Any

from clsbench.errors import BadInput
from clsbench.settlement import fields
from clsbench.settlement.claims import settle_claims
from clsbench.settlement.document import read_groups, read_point, read_policy
from clsbench.settlement.result import (
    findings_document,
    point_document,
    slots_document,
    used_directions,
)
from clsbench.settlement.sections import settle_point
from clsbench.settlement.storage import settle_storage

MODES = ("sections", "claims", "storage_split")


def settle(document: Mapping[str, Any]) -> dict[str, Any]:
    """The result of an input document, or of its bare `input` object. Raises BadInput."""
    body = input_of(document)
    mode = body["mode"]
    result = {"sections": _sections, "claims": _claims, "storage_split": _storage}[mode](body)
    identity = {"id": document["id"]} if isinstance(document.get("id"), str) else {}
    return {**identity, "mode": mode, **result}


def input_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `input` object, its mode and the schema number checked."""
    outer = fields.table(document, "document")
    if outer.get("schema", 1) != 1:
        raise BadInput(f"schema: {outer['schema']!r} is unknown, this is schema 1")
    body = fields.table(outer["input"], "input") if "input" in outer else outer
    fields.one_of(body.get("mode"), "input.mode", MODES)
    return body


def _sections(body: Mapping[str, Any]) -> dict[str, Any]:
    return point_document(settle_point(read_point(body)))


def _claims(body: Mapping[str, Any]) -> dict[str, Any]:
    entry = {"rest": "-", **fields.table(body.get("groups"), "groups")}
    policy = read_policy(body.get("policy"))
    slots, findings = settle_claims(body, read_groups(entry), policy)
    scaler = fields.scaler(body.get("unit_scaler"), "unit_scaler")
    result = slots_document(slots, scaler, policy, used_directions(slots))
    result["policy"] = {
        "over_claim": policy.over_claim,
        "market_decimals": policy.market_decimals,
    }
    return {**result, "findings": findings_document(findings)}


def _storage(body: Mapping[str, Any]) -> dict[str, Any]:
    month, findings = settle_storage(body)
    return {
        "schema": 1,
        "unit_scaler": fields.scaler(body.get("unit_scaler"), "unit_scaler"),
        "policy": {},
        "slots": [],
        "transactions": [],
        "totals": {},
        "days": [],
        "month": month,
        "findings": findings_document(findings),
    }
