"""MicroPython's tls, as far as the firmware uses it."""

from typing import Any

PROTOCOL_TLS_CLIENT: int
PROTOCOL_TLS_SERVER: int
CERT_NONE: int
CERT_OPTIONAL: int
CERT_REQUIRED: int

class SSLContext:
    verify_mode: int
    verify_callback: Any
    def __init__(self, protocol: int) -> None: ...
    def load_cert_chain(self, certificate: bytes, key: bytes) -> None: ...
    def load_verify_locations(self, trust: bytes) -> None: ...
    def wrap_socket(
        self,
        sock: Any,
        *,
        server_side: bool = ...,
        do_handshake_on_connect: bool = ...,
        server_hostname: str | None = ...,
    ) -> Any: ...
