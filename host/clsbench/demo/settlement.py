"""The demo's records settled, once as each witness tells them. Pure.

The groups are the demo's own: its transactions go to two flexibility groups in turn.
"""

from typing import Any

from clsbench.demo.checks import Evidence
from clsbench.errors import BadInput
from clsbench.settlement.document import read_point
from clsbench.settlement.overview import overview
from clsbench.settlement.records import device_body, gateway_body, whole_window
from clsbench.settlement.sections import settle_point

REST, DELTA, FLEX = "BK-SUPPLY", "BK-DELTA", ("BK-FLEX-1", "BK-FLEX-2")


def settlements(evidence: Evidence) -> dict[str, dict[str, Any]]:
    """Witness (gateway, device) -> overview; one whose records do not do for it has `error`."""
    bodies = {
        "gateway": gateway_body(record.content for record in evidence.gateway)[0],
        "device": device_body(evidence.device)[0],
    }
    groups = {pair.uuid: FLEX[number % len(FLEX)] for number, pair in enumerate(evidence.pairs)}
    return {witness: _settled(body, groups) for witness, body in bodies.items()}


def _settled(body: dict[str, Any], groups: dict[str, str]) -> dict[str, Any]:
    try:
        point = read_point(
            {
                "mode": "sections",
                "window": whole_window(body),
                "groups": {"rest": REST, "delta": DELTA, "by_uuid": groups},
                **body,
            }
        )
    except BadInput as error:
        return {"error": str(error)}
    return overview(settle_point(point))
