"""The section `[socks]` of the gateway's configuration: its SOCKS-TLS port in the HAN."""

from pydantic import Field

from clsbench.roleconfig import Endpoint


class SocksSection(Endpoint):
    """Where it listens. max_session_s: after which any channel is cut, by the bench's
    clock (TR-03116-3)."""

    max_session_s: float = Field(default=48 * 3600.0, gt=0, le=48 * 3600.0)
