"""Where firmware and board files are: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent


def firmware_dir() -> Path:
    """The folder that holds `boot.py`, `main.py`, `dicamm/` and `meters/`."""
    packed = _PACKAGE / "_firmware"
    return packed if packed.is_dir() else _CHECKOUT / "firmware"


def boards_dir() -> Path:
    """The folder that holds one folder per board."""
    packed = _PACKAGE / "_boards"
    return packed if packed.is_dir() else _CHECKOUT / "boards"
