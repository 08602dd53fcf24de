"""Configuration files of the roles on one bench: whom they know, what they may.

The same TOML a user writes by hand for `clsbench smgw|gwa|emt serve`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clsbench.bench import channel

if TYPE_CHECKING:
    from clsbench.bench.chain import Chain


@dataclass(frozen=True)
class Names:
    """Who is who: DIN 43863-5 ids of devices, names of market roles."""

    smgw: str = "ETST0010000001"
    cls: str = "ETST0020000017"
    foreign_cls: str = "ETST0020000099"
    mid_meter: str = "1EAS0012345678"
    lmn_meter: str = "1EMH0098765432"
    emt: str = "flexmarkt"
    gwa: str = "gwa-test"
    final_consumer: str = "consumer-1"
    taf16: str = "taf16-rod"
    taf7: str = "taf7-rod"


def gwa_toml(chain: Chain, ports: dict[str, int]) -> str:
    """The GWA administers one SMGW and lets one aEMT ask for a channel to it."""
    names = chain.names
    return toml_text(
        [
            (
                "[gwa]",
                {"name": names.gwa, "operator_socket": chain.gwa_socket, **_common(chain, "gwa")},
            ),
            ("[pki]", {"dir": str(chain.work / "pki")}),
            ("[management]", {"port": ports.get("management", 0)}),
            ("[service]", {"port": ports.get("service", 0)}),
            *(
                [("[time]", {"port": ports.get("time", 0)})]
                if chain.options.ntp is not None
                else []
            ),
            ("[[smgw]]", {"id": names.smgw}),
            ("[[emt]]", {"name": names.emt, "smgw_ids": [names.smgw]}),
        ]
    )


def emt_toml(chain: Chain, ports: dict[str, int]) -> str:
    """The aEMT knows its control box, and one that it has no right to."""
    names = chain.names
    socket = chain.operator_socket
    own = {
        "cls_id": names.cls,
        "smgw_id": names.smgw,
        "key_file": str(chain.key_file),
        "taf_profile": names.taf16,
        **channel.box_entry(chain),
    }
    foreign = {"cls_id": names.foreign_cls, "smgw_id": names.smgw, "taf_profile": names.taf16}
    return toml_text(
        [
            ("[emt]", {"name": names.emt, "operator_socket": socket, **_common(chain, "emt")}),
            ("[pki]", {"dir": str(chain.work / "pki")}),
            ("[channel]", {"port": ports.get("channel", 0)}),
            ("[delivery]", {"port": ports.get("delivery", 0)}),
            ("[gwa]", {"name": names.gwa, "service_port": chain.roles["gwa"].ports["service"]}),
            *channel.emt_tables(chain, ports),
            ("[[cls]]", own),
            ("[[cls]]", foreign),
        ]
    )


def smgw_toml(chain: Chain, ports: dict[str, int]) -> str:
    """The SMGW: one base meter, TAF7 and TAF16 on it, one CLS, one aEMT."""
    names = chain.names
    capture = chain.options.capture is not None
    meter = "*" if capture else names.lmn_meter
    obis: list[str] = [] if capture else ["1-0:1.8.0*255"]
    emt = chain.roles["emt"].ports
    taf = {
        "meter_id": meter,
        "final_consumer": names.final_consumer,
        "emt": names.emt,
    }
    return toml_text(
        [
            ("[smgw]", {"id": names.smgw, **_common(chain, "smgw")}),
            ("[pki]", {"dir": str(chain.work / "pki")}),
            ("[han]", {"port": ports.get("han", 0)}),
            *_time(chain),
            (
                "[gwa]",
                {
                    "name": names.gwa,
                    "host": "127.0.0.1",
                    "port": chain.roles["gwa"].ports["management"],
                },
            ),
            (
                "[[emt]]",
                {
                    "name": names.emt,
                    "channel_host": "127.0.0.1",
                    "channel_port": emt["channel"],
                    "delivery_host": "127.0.0.1",
                    "delivery_port": emt["delivery"],
                    "cls_ids": [names.cls],
                },
            ),
            (
                "[[lmn]]",
                {"port": chain.plant.lmn_path, "baud": 921600, "meter_id": meter, "obis": obis},
            ),
            (
                "[[taf]]",
                {
                    "id": names.taf16,
                    "number": 16,
                    **taf,
                    "event_sources": [names.cls],
                    "wan_source": True,
                },
            ),
            ("[[taf]]", {"id": names.taf7, "number": 7, **taf}),
            ("[[cls]]", {"cls_id": names.cls}),
            *channel.smgw_tables(chain, ports),
        ]
    )


def _time(chain: Chain) -> list[tuple[str, dict[str, object]]]:
    """The gateway's time server, where it does not simply claim the bench's time."""
    keys = chain.options.ntp
    if keys is None:
        return []
    port = chain.roles["gwa"].ports["time"]
    return [("[time]", {"source": "ntp", "port": port, "poll_s": 60, **keys})]


def _common(chain: Chain, role: str) -> dict[str, str]:
    return {
        "state_dir": str(chain.work / role),
        "event_log": str(chain.events_path.resolve()),
        "clock": chain.clock.spec(),
    }


def toml_text(tables: Sequence[tuple[str, Mapping[str, object]]]) -> str:
    """A TOML document of (header, values)."""
    lines = []
    for header, values in tables:
        lines.append(header)
        # a JSON string, number, list or boolean is also one in TOML
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)
