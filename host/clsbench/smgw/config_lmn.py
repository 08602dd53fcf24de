"""The [[lmn]] sections of the gateway's configuration file: which meter is read how.

Knows which key belongs to which link and reads key files; opens no port.
"""

import stat
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from clsbench.errors import BadInput
from clsbench.net.lmn_bus import FIRST_STATION, LAST_STATION
from clsbench.roleconfig import FilePath, Strict
from clsbench.smgw.core.parties import ANY_METER

SML_PUSH, SML_PULL, HDLC_TLS, MBUS, WMBUS = "sml-push", "sml-pull", "hdlc-tls", "mbus", "wmbus"
SHARED = (HDLC_TLS, MBUS, WMBUS)  # several meters on one port
BAUD = {SML_PUSH: 9600, SML_PULL: 9600, HDLC_TLS: 921_600, MBUS: 2400, WMBUS: 9600}

# key of a section: the links it belongs to
_BELONGS = {
    "address": (MBUS, HDLC_TLS),
    "pull_s": (SML_PULL, HDLC_TLS, MBUS),
    "key_file": (WMBUS,),
    "security": (WMBUS,),
    "certificate": (HDLC_TLS,),
    "gateway_certificate": (HDLC_TLS,),
    "gateway_key": (HDLC_TLS,),
}
_NEEDS = {
    HDLC_TLS: ("address", "certificate", "gateway_certificate", "gateway_key"),
    WMBUS: (),
}


class LineKeys(Strict):
    """How a meter is reached.

    baud: by default that of the link (BAUD). address: primary address on a wired M-Bus (without
    one the meter is selected by its id), or the station on the HDLC bus. pull_s: seconds
    between two requests. key_file: 32 hex digits, readable by its owner alone. security: "B":
    telegrams must have a code and a rising counter. certificate: the meter's, pinned;
    gateway_certificate, gateway_key: what the gateway shows the meter. PEM files, self-signed.
    """

    link: Literal["sml-push", "sml-pull", "hdlc-tls", "mbus", "wmbus"] = SML_PUSH
    port: str = Field(min_length=1)
    baud: Annotated[int, Field(ge=300, le=921_600)] | None = None
    meter_id: str = Field(min_length=1)
    address: Annotated[int, Field(ge=0, le=250)] | None = None
    pull_s: Annotated[float, Field(gt=0, le=3600)] = 1.0
    key_file: FilePath | None = None
    security: Literal["B", "any"] = "B"
    certificate: FilePath | None = None
    gateway_certificate: FilePath | None = None
    gateway_key: FilePath | None = None

    @model_validator(mode="after")
    def _keys_of_the_link(self) -> "LineKeys":
        for key, links in _BELONGS.items():
            usual = LineKeys.model_fields[key].default
            if self.link not in links and getattr(self, key) != usual:
                raise ValueError(f"{key}: only with link {' or '.join(links)}")
        for key in _NEEDS.get(self.link, ()):
            if getattr(self, key) is None:
                raise ValueError(f"link {self.link} needs {key}")
        if self.link == WMBUS and self.security == "B" and self.key_file is None:
            raise ValueError('link wmbus needs key_file, or security = "any"')
        station = self.address or 0
        if self.link == HDLC_TLS and not FIRST_STATION <= station <= LAST_STATION:
            raise ValueError(
                f"address {station}: a meter on the HDLC bus has {FIRST_STATION} to {LAST_STATION}"
            )
        if self.meter_id == ANY_METER and self.link not in (SML_PUSH, SML_PULL):
            raise ValueError(f'meter_id "*": not with link {self.link}, name the meter')
        return self

    @property
    def line_baud(self) -> int:
        """The baud rate, given or usual."""
        return self.baud or BAUD[self.link]


def check_ports(sections: list) -> None:
    """Raises BadInput where two meters cannot share a port."""
    first: dict[str, LineKeys] = {}
    for lmn in sections:
        other = first.setdefault(lmn.port, lmn)
        if other is lmn:
            continue
        who = f"[[lmn]] {lmn.meter_id} and {other.meter_id} on {lmn.port}"
        if (lmn.link, lmn.line_baud, lmn.pull_s) != (other.link, other.line_baud, other.pull_s):
            raise BadInput(f"{who}: link, baud and pull_s must be the same on one port")
        if lmn.link not in SHARED:
            raise BadInput(f"{who}: link {lmn.link} has one meter on a port; give each its own")
    taken: set[tuple[str, int]] = set()
    for lmn in sections:
        place = (lmn.port, lmn.address)
        if lmn.address is not None and place in taken:
            raise BadInput(f"[[lmn]] {lmn.meter_id}: address {lmn.address} on {lmn.port} is taken")
        taken.add(place)


def read_key(path: Path, meter_id: str) -> bytes:
    """The 16 bytes in a key file. Raises BadInput, never with the key in it."""
    where = f"[[lmn]] {meter_id}: key_file {path}"
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no hex text"
        raise BadInput(f"{where}: {reason}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadInput(f"{where} may be read by others. Do: chmod 600 {path}")
    if len(key) != 16:
        raise BadInput(f"{where}: {len(key)} bytes, expected 16 (32 hex digits)")
    return key
