"""The HAN interface announced by mDNS: on which network interface, under which names.

Knows addresses and names; the packets are zeroconf's (`mdns`, extra `mdns`). Without
`[han] mdns` nothing of it is loaded.
Source: BSI detail specification 2.0 chapter 12: `<smgw-id>.local` (unique), `smgw.local`
(shared); A or AAAA, PTR, SRV, TXT; link-local only. Service types are ours (docs/smgw.md).
"""

import importlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clsbench.errors import BadInput, EnvironmentProblem

SHARED_HOST = "smgw.local."
OWN_TYPE = "_smgw._tcp.local."
WEB_TYPE = "_https._tcp.local."

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Adapter:
    """A network interface as the system tells of it."""

    name: str
    index: int
    addresses: tuple[IpAddress, ...]


@dataclass(frozen=True)
class Place:
    """Where is announced. own: the adapter's address to send from; told: the HAN's address."""

    adapter: Adapter
    own: IpAddress
    told: IpAddress


@dataclass(frozen=True)
class Service:
    """One service instance, names with their final dot."""

    kind: str
    name: str
    host: str
    port: int
    address: IpAddress
    text: dict[str, str]


def find_place(wanted: str, host: str, adapters: Iterable[Adapter]) -> Place:
    """The interface named (or holding the address named), where `host` can be reached.

    Raises BadInput where there is none, or where the HAN does not listen on it.
    """
    known = list(adapters)
    named = parse_address(wanted)
    found = [a for a in known if wanted == a.name or named in a.addresses]
    if not found:
        names = ", ".join(adapter.name for adapter in known)
        raise BadInput(f"[han] mdns '{wanted}': no such network interface. There are: {names}")
    listening = parse_address(host)
    if listening is None:
        raise BadInput(f"[han] host '{host}': with mdns it must be an address, not a name")
    if listening.is_loopback and listening.version == 6:
        raise BadInput('[han] mdns: ::1 has no multicast. Set [han] host = "127.0.0.1"')
    adapter = found[0]
    own = [a for a in adapter.addresses if a.version == listening.version]
    on_loopback = listening.is_loopback and any(a.is_loopback for a in own)
    if own and listening.is_unspecified:
        first = named if named in own and named is not None else own[0]
        return Place(adapter, first, first)
    if listening in own or on_loopback:
        return Place(adapter, listening if listening in own else own[0], listening)
    raise BadInput(
        f"[han] mdns '{wanted}': the HAN listens on {host}, which is no address of this "
        f"interface ({', '.join(map(str, adapter.addresses)) or 'it has none'}). "
        "Set [han] host to one of them, or mdns to the interface of host"
    )


def services(smgw_id: str, address: IpAddress, port: int) -> tuple[Service, Service]:
    """What a gateway announces: itself under its own name, its web address under the shared."""
    lower = smgw_id.lower()
    text = {"txtvers": "1", "id": smgw_id, "path": "/smgw/"}
    return (
        Service(OWN_TYPE, f"{lower}.{OWN_TYPE}", f"{lower}.local.", port, address, text),
        Service(WEB_TYPE, f"{lower}.{WEB_TYPE}", SHARED_HOST, port, address, text),
    )


class Announcement:
    """Announces one gateway from `start` to `close`. An empty interface announces nothing."""

    def __init__(self, interface: str, host: str, smgw_id: str):
        self._interface = interface
        self._host = host
        self._smgw_id = smgw_id
        self._responder: Any = None
        self._mdns = _package() if interface else None

    async def start(self, port: int) -> None:
        """Announces the HAN at this port. Raises BadInput, EnvironmentProblem."""
        if self._mdns is None:
            return
        place = find_place(self._interface, self._host, self._mdns.adapters())
        self._responder = self._mdns.Responder(place)
        await self._responder.announce(services(self._smgw_id, place.told, port))

    async def close(self) -> None:
        """Withdraws what was announced."""
        if self._responder is not None:
            await self._responder.withdraw()
            self._responder = None


def _package() -> Any:
    try:
        return importlib.import_module("clsbench.smgw.han.mdns")
    except ModuleNotFoundError as error:
        raise EnvironmentProblem(
            f"[han] mdns needs the package {error.name}: pip install 'clsbench[mdns]', or take "
            "the key out"
        ) from error


def parse_address(text: str) -> IpAddress | None:
    """The address in a text (without its zone), or None."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
