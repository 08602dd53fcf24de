"""Build hook: a wheel carries firmware and boards; an editable install reads them in place."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CarryFirmware(BuildHookInterface):
    """Adds what `clsbench.paths` looks for, and the device's cores that the host speaks with."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"] |= {
                "firmware": "clsbench/_firmware",
                "boards": "clsbench/_boards",
                "firmware/dicamm": "dicamm",
            }
