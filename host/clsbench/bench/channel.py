"""The CLS channel on a bench: what each party's configuration says of it.

ChainOptions.channel names who opens it: "cls" (SOCKS-TLS), "emt" (Connect of the proxy profile)
or "smgw" (the gateway's schedule); "": there is none, commands go through the gateway.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clsbench.bench.chain import Chain

PROXY = "aemt-of-box"
SERVER_NAME = "aemt.flexmarkt"

Table = tuple[str, Mapping[str, object]]


def box_entry(chain: Chain) -> dict[str, object]:
    """What the aEMT's entry of the box holds besides."""
    if not chain.options.channel:
        return {}
    entry: dict[str, object] = {"via": "channel"}
    return entry | {"proxy": PROXY} if chain.options.channel == "emt" else entry


def emt_tables(chain: Chain, ports: dict[str, int]) -> list[Table]:
    """Tables of the aEMT's configuration."""
    return [("[cls_channel]", {"port": ports.get("cls", 0)})] if chain.options.channel else []


def smgw_tables(chain: Chain, ports: dict[str, int]) -> list[Table]:
    """Tables of the gateway's configuration."""
    opened_by = chain.options.channel
    if not opened_by:
        return []
    proxy: dict[str, object] = {
        "name": PROXY,
        "cls_id": chain.names.cls,
        "emt": chain.names.emt,
        "local_server_name": SERVER_NAME,
        "wan_peers": [f"127.0.0.1:{chain.roles['emt'].ports['cls']}"],
        "opened_by": opened_by,
    }
    if opened_by != "cls":
        proxy["cls_peer"] = f"127.0.0.1:{chain.box_port}"
    return [("[socks]", {"port": ports.get("socks", 0)}), ("[[proxy]]", proxy)]


def device_setting(chain: Chain) -> dict[str, object]:
    """The box's setting `channel`, where there is one."""
    gateway = chain.roles.get("smgw")
    if not chain.options.channel or gateway is None:
        return {}
    if chain.options.channel == "cls":
        return {"channel": {"name": SERVER_NAME, "port": gateway.ports["socks"]}}
    return {"channel": {"listen": f"127.0.0.1:{chain.box_port}"}}


def free_port() -> int:
    """A port of the loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
