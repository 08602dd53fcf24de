"""What every boards/<BOARD>/board.py offers the application."""

from typing import Any

NAME: str
SETTINGS: str
HAS_TLS: bool

def ports(settings: Any) -> Any: ...
def record_flash() -> Any: ...
def settings_flash() -> Any: ...
