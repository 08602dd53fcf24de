"""The signed list of what a version is made of (docs/update.md), and the key that signs it.

Knows bytes; neither ports nor boards. The form:

    clsbench update 1
    board NAME
    version NUMBER
    file SHA256 SIZE PATH          one line for each file, sorted by path
    mac HMAC-SHA256                over everything before this line

All hexadecimal in lower case, every line ended by one line feed.
"""

import hashlib
import hmac
import time
from collections.abc import Iterable
from dataclasses import dataclass

LABEL = b"clsbench update"
NOT_IN_A_SLOT = ("boot.py", "main.py", "slots.py")  # they choose between the slots


@dataclass(frozen=True)
class Manifest:
    """text: with the authentication code; contents: of the files, in the order of their lines."""

    version: int
    text: bytes
    contents: tuple[bytes, ...]
    paths: tuple[str, ...]


def update_key(record_key: bytes) -> bytes:
    """The key of manifests, from the device's key of the seals: one key for each purpose."""
    return hmac.digest(record_key, LABEL, "sha256")


def make_manifest(
    board: str, version: int, files: Iterable[tuple[str, bytes]], record_key: bytes
) -> Manifest:
    """Of the (path, content) pairs that `build_firmware` makes."""
    own = sorted((path, content) for path, content in files if path not in NOT_IN_A_SLOT)
    lines = ["clsbench update 1", f"board {board}", f"version {version}"]
    lines += [
        f"file {hashlib.sha256(content).hexdigest()} {len(content)} {path}"
        for path, content in own
    ]
    body = "".join(line + "\n" for line in lines).encode()
    mac = hmac.digest(update_key(record_key), body, "sha256").hex()
    text = body + f"mac {mac}\n".encode()
    return Manifest(version, text, tuple(c for _, c in own), tuple(p for p, _ in own))


def version_of_now() -> int:
    """Seconds since 1970: rises by itself from one build to the next."""
    return int(time.time())
