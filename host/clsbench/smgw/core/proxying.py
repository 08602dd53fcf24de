"""Which proxy profile lets a channel through the gateway be opened, and by whom.

Pure; asked by `rights` alone. A channel needs its proxy profile in force, and with it the
profiles of the box and of the market participant it leads to. A passive participant has none:
it commands nothing, on no way.
Source: BSI Detailspezifikationen 2.0 (proxy profile: localServerName, wanPeerAddresses).
"""

from dataclasses import dataclass

from clsbench.smgw.core.parties import ClsProfile, EmtProfile, ProxyProfile
from clsbench.smgw.core.profiles import Profiles

BY_CLS, BY_EMT, BY_SMGW = "cls", "emt", "smgw"


@dataclass(frozen=True, slots=True)
class Way:
    """What a channel runs between."""

    proxy: ProxyProfile
    cls: ClsProfile
    emt: EmtProfile


def proxy_called(profiles: Profiles, cls_id: str, name: str) -> ProxyProfile | None:
    """The profile a box means by `name`: its localServerName, or "host:port" of a WAN peer."""
    own = [proxy for proxy in profiles.proxies if proxy.cls_id == cls_id]
    for proxy in own:
        if proxy.local_server_name == name:
            return proxy
    for proxy in own:
        if any(f"{peer.host}:{peer.port}" == name for peer in proxy.wan_peers):
            return proxy
    return None


def way_of(profiles: Profiles, proxy: ProxyProfile, opened_by: str, now_ms: int) -> Way | str:
    """The way through this profile, or why there is none now for this opener."""
    where = f"proxy profile '{proxy.name}'"
    if proxy.opened_by != opened_by:
        return f"{where} is opened by {proxy.opened_by}, not by {opened_by}"
    if not proxy.validity.holds(now_ms):
        return f"{where} is not in force"
    cls, emt = profiles.cls_box(proxy.cls_id), profiles.emt(proxy.emt)
    if cls is None or not cls.validity.holds(now_ms):
        return f"{where}: CLS profile of {proxy.cls_id} is not in force"
    if emt is None or not emt.validity.holds(now_ms):
        return f"{where}: EMT profile '{proxy.emt}' is not in force"
    if not emt.external_events:
        return f"{where}: EMT profile '{emt.name}' is passive (no external events): no channel"
    if cls.cls_id not in emt.cls_ids:
        return f"{where}: EMT profile '{emt.name}' does not list CLS {cls.cls_id}"
    return Way(proxy, cls, emt)
