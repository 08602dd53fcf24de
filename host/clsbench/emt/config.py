"""The aEMT's configuration file: its ports, its GWA, and the CLS it may switch."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from clsbench.roleconfig import Endpoint, FilePath, FileText, PkiDir, Strict

MAX_SOCKET_PATH = 100  # a unix socket's path fits 107 bytes on Linux, 103 on macOS


class EmtSection(Strict):
    """`name`: as in the certificate `<name>.EMT`. `operator_socket`: a short path, mode 0600."""

    name: str = Field(min_length=1)
    state_dir: FilePath
    event_log: FileText = ""
    clock: str = ""
    operator_socket: FileText = Field(min_length=1)

    @field_validator("operator_socket")
    @classmethod
    def _short(cls, path: str) -> str:
        if len(path.encode()) > MAX_SOCKET_PATH:
            raise ValueError(f"{path} is longer than {MAX_SOCKET_PATH} bytes, give a shorter path")
        return path


class GwaSection(Strict):
    """Where Connect is ordered; tls_sni: the server name stated to it in TLS, "" for none."""

    name: str = Field(min_length=1)
    host: str = "127.0.0.1"
    service_port: int = Field(ge=1, le=65535)
    tls_sni: str = ""


class ClsEntry(Strict):
    """One control box behind one SMGW.

    key_file: the device's HMAC key as raw bytes; without it seals are stored unchecked.
    first_seq: the record a new store starts from, for a device that has delivered before.
    via: commands go through the gateway, or over the box's own CLS channel. proxy: the proxy
    profile to be ordered when that channel is not there, "" where box or gateway open it.
    """

    cls_id: str = Field(min_length=14, max_length=14)
    smgw_id: str = Field(min_length=14, max_length=14)
    key_file: FilePath | None = None
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
    gwa: GwaSection
    cls: list[ClsEntry] = []

    def find_cls(self, cls_id: str) -> ClsEntry | None:
        """The entry of a CLS, or None."""
        return next((entry for entry in self.cls if entry.cls_id == cls_id), None)
