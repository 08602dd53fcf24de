"""The GWA's configuration file: whom it administers and who may ask for a channel."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from clsbench.gwa.time_server import TimeSection
from clsbench.net.operator import short_path
from clsbench.roleconfig import Endpoint, FilePath, FileText, PkiDir, Strict


class GwaSection(Strict):
    """`name`: as in the certificate `<name>.GWA`. `state_dir`: keeps the standing connects and the
    log of acts. `operator_socket`: a short path, mode 0600; "" for none.
    """

    name: str = Field(min_length=1)
    state_dir: FilePath
    operator_socket: Annotated[FileText, AfterValidator(short_path)] = ""
    event_log: FileText = ""
    clock: str = ""


class SmgwEntry(Strict):
    """A gateway this GWA administers: DIN 43863-5 print form.

    wakeup: where it is woken, `udp://host:port` or `tcp://host:port`; "" where it never is.
    content: messages to it are plain, or enveloped with this suite for the holder of
    enc_certificate (PEM; by default that of the gateway in the PKI directory).
    """

    id: str = Field(min_length=14, max_length=14)
    wakeup: str = Field(default="", pattern="^((udp|tcp)://[^:/]+:[0-9]{1,5})?$")
    content: Literal["plain", "enveloped"] = "plain"
    suite: Literal["gcm", "cbc-cmac"] = "gcm"
    enc_certificate: FilePath | None = None


class EmtEntry(Strict):
    """A market participant and the gateways on which it may have a channel."""

    name: str = Field(min_length=1)
    smgw_ids: list[str]


class GwaConfig(Strict):
    """The whole file. `smgw` and `emt` are lists of tables; who is in none is refused.

    time: the time server, where there is one.
    """

    gwa: GwaSection
    pki: PkiDir
    management: Endpoint = Endpoint()
    service: Endpoint = Endpoint()
    time: TimeSection | None = None
    smgw: list[SmgwEntry] = []
    emt: list[EmtEntry] = []

    def administers(self, smgw_id: str) -> bool:
        """True where the gateway is one of ours."""
        return any(entry.id == smgw_id for entry in self.smgw)

    def allows(self, emt_id: str, smgw_id: str) -> bool:
        """True where the EMT has an agreement for the gateway."""
        return any(entry.name == emt_id and smgw_id in entry.smgw_ids for entry in self.emt)
