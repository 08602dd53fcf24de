"""The sections of the gateway's configuration file about time and wake-up."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from clsbench.roleconfig import FilePath, Strict
from clsbench.smgw.core.clock_state import DEFAULT_DRIFT_PPM
from clsbench.smgw.core.wakeup import MAX_WINDOW_S

Port = Annotated[int, Field(ge=0, le=65535)]
FIXED, NTP = "fixed", "ntp"


class TimeSection(Strict):
    """Where legal time comes from. fixed: `time_state` of [smgw] is claimed, the bench's clock is
    right. ntp: from the administrator's time server.

    poll_s: bench seconds between two requests. drift_ppm: stated worst drift of the oscillator,
    by which the bound grows. oscillator_offset_ms, oscillator_drift_ppm: how wrong the simulated
    oscillator starts, and how it drifts in truth.
    """

    source: Literal["fixed", "ntp"] = FIXED
    host: str = "127.0.0.1"
    port: Port = 0
    poll_s: int = Field(default=64, ge=60, le=86_400)
    drift_ppm: int = Field(default=DEFAULT_DRIFT_PPM, ge=1, le=100_000)
    oscillator_offset_ms: int = 0
    oscillator_drift_ppm: int = Field(default=0, ge=-100_000, le=100_000)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.source == NTP and not self.port:
            raise ValueError("source ntp needs the port of the administrator's time server")
        if abs(self.oscillator_drift_ppm) > self.drift_ppm:
            raise ValueError("oscillator_drift_ppm is more than drift_ppm states as the worst")
        return self


class WakeUpSection(Strict):
    """The port on which the administrator wakes the gateway; port 0: a free one.

    window_s: how far a message's time stamp may be off, either way. certificate: the
    administrator's for signatures; by default that of the PKI directory.
    """

    transport: Literal["udp", "tcp"] = "udp"
    host: str = "127.0.0.1"
    port: Port = 0
    window_s: int = Field(default=300, ge=1, le=MAX_WINDOW_S)
    certificate: FilePath | None = None
