"""dicamm.toml: what `clsbench flash` makes of a board. Identity, meter, gateway, where keys are.

Knows the file; makes nothing.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from clsbench.device.provision import DeviceConfig
from clsbench.errors import BadInput
from clsbench.meters import catalogue
from clsbench.pki.layout import DEFAULT_CLS
from clsbench.pki.names import check_device_id
from clsbench.roleconfig import FilePath, Strict, load_config
from dicamm.store import settings

FILE = "dicamm.toml"
BENCH_METER = "1EAS0012345678"  # as the demo's
# what this file says in words of its own
_OWN_KEYS = {"device_id", "cls_id", "meter_id", "meter_profile"} | {
    key for key in settings.KEYS if key.startswith("gateway_")
}


def _known_id(value: str) -> str:
    try:
        return check_device_id(value)
    except BadInput as error:
        raise ValueError(str(error)) from error


DeviceId = Annotated[str, AfterValidator(_known_id)]


class Gateway(Strict):
    """The gateway in the HAN. name: of its certificate; pki: folder of `clsbench pki init`."""

    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    name: str = Field(min_length=1)
    pki: FilePath


class DicammConfig(Strict):
    """model: a name of `clsbench meter list`; slices: parts beside those the settings need;
    settings: further keys of config.json (docs/flash.md)."""

    device_id: DeviceId = DEFAULT_CLS
    cls_id: DeviceId | None = None
    meter_id: DeviceId = BENCH_METER
    model: str = "eastron_sdm630"
    keys: FilePath = Path("keys")
    slices: tuple[str, ...] = ()
    gateway: Gateway | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _checked(self) -> "DicammConfig":
        for key, value in self.settings.items():
            if key in _OWN_KEYS or key not in settings.KEYS:
                known = ", ".join(sorted(settings.KEYS.keys() - _OWN_KEYS))
                raise ValueError(f"settings.{key}: no setting. Known: {known}")
            kind = settings.KEYS[key][0]
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError(f"settings.{key}: {kind.__name__} is needed")
        try:
            catalogue.compact(self.model)
        except BadInput as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def key_file(self) -> Path:
        """The device's HMAC key on the host."""
        return self.keys / f"{self.device_id}.key"

    def device(self) -> DeviceConfig:
        """As provisioning takes it."""
        gateway = self.gateway
        return DeviceConfig(
            device_id=self.device_id,
            cls_id=self.cls_id or self.device_id,
            meter_id=self.meter_id,
            model=self.model,
            gateway_host=gateway.host if gateway else "",
            gateway_port=gateway.port if gateway else 0,
            gateway_name=gateway.name if gateway else "",
            extra=dict(self.settings),
        )


def read(path: Path) -> DicammConfig:
    """Raises BadInput naming file, key and remedy."""
    return load_config(path, DicammConfig)
