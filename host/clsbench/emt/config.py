"""The EMT's configuration file: its ports, its GWAs, and the CLS it may switch.

Without a control box it is a passive EMT: it takes records and commands nothing.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from clsbench.net.operator import short_path
from clsbench.roleconfig import Endpoint, FilePath, FileText, PkiDir, Strict

DeviceId = Annotated[str, Field(min_length=14, max_length=14)]


class EmtSection(Strict):
    """`name`: as in the certificate `<name>.EMT`. `operator_socket`: a short path, mode 0600.

    content: what is delivered may come signed or enveloped, or must be enveloped.
    """

    name: str = Field(min_length=1)
    state_dir: FilePath
    event_log: FileText = ""
    clock: str = ""
    operator_socket: Annotated[FileText, AfterValidator(short_path)] = Field(min_length=1)
    content: Literal["any", "enveloped"] = "any"


class GwaSection(Strict):
    """Where Connect is ordered. smgw_ids: of a foreign GWA, the gateways it administers.

    tls_sni: the server name stated to it in TLS, "" for none.
    """

    name: str = Field(min_length=1)
    host: str = "127.0.0.1"
    service_port: int = Field(ge=1, le=65535)
    tls_sni: str = ""
    smgw_ids: list[DeviceId] = []


class ClsEntry(Strict):
    """One control box behind one SMGW.

    key_file: the device's HMAC key as raw bytes; without it seals are stored unchecked.
    sign_key_file: the device's public key (PEM); with it every record must bear its signature.
    first_seq: the record a new store starts from, for a device that has delivered before.
    via: commands go through the gateway, or over the box's own CLS channel. proxy: the proxy
    profile to be ordered when that channel is not there, "" where box or gateway open it.
    """

    cls_id: DeviceId
    smgw_id: DeviceId
    key_file: FilePath | None = None
    sign_key_file: FilePath | None = None
    taf_profile: str = Field(min_length=1)
    first_seq: int = Field(default=1, ge=1)
    via: Literal["smgw", "channel"] = "smgw"
    proxy: str = ""

    @model_validator(mode="after")
    def _key_for_channel(self) -> Self:
        if self.via == "channel" and self.key_file is None:
            raise ValueError(f"{self.cls_id}: via channel needs key_file, which proves the box")
        return self


class EmtConfig(Strict):
    """The whole file."""

    emt: EmtSection
    pki: PkiDir
    channel: Endpoint = Endpoint()
    delivery: Endpoint = Endpoint()
    cls_channel: Endpoint | None = None
    gwa: GwaSection | None = None
    foreign_gwa: list[GwaSection] = []
    cls: list[ClsEntry] = []

    @model_validator(mode="after")
    def _every_box_has_a_gwa(self) -> Self:
        for entry in self.cls:
            if self.gwa_of(entry.smgw_id) is None:
                raise ValueError(
                    f"cls {entry.cls_id}: no GWA for SMGW {entry.smgw_id}: add [gwa], or "
                    "[[foreign_gwa]] with it in smgw_ids"
                )
        return self

    @property
    def passive(self) -> bool:
        """True without any control box to command."""
        return not self.cls

    def find_cls(self, cls_id: str) -> ClsEntry | None:
        """The entry of a CLS, or None."""
        return next((entry for entry in self.cls if entry.cls_id == cls_id), None)

    def gwa_of(self, smgw_id: str) -> GwaSection | None:
        """The GWA that administers a gateway: the foreign one that names it, else one's own."""
        return next((gwa for gwa in self.foreign_gwa if smgw_id in gwa.smgw_ids), self.gwa)

    def knows(self, smgw_id: str) -> bool:
        """True where a channel of this gateway is welcome."""
        named = {entry.smgw_id for entry in self.cls}
        for gwa in (*self.foreign_gwa, *([self.gwa] if self.gwa else [])):
            named |= set(gwa.smgw_ids)
        return smgw_id in named
