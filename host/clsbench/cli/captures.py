"""Captured bytes from files, and the device's interpreter to read them in."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.hil.interpreter import find_micropython
from clsbench.paths import firmware_dir

_TIMEOUT_S = 60
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF \t\r\n")


def read_capture(name: str) -> bytes:
    """The bytes of a file (- is stdin); hex text is turned into what it spells."""
    return b"".join(read_lines(name))


def read_lines(name: str) -> list[bytes]:
    """The same, each line of hex text apart; raw bytes are one piece.

    Raises BadInput where the file cannot be read or its hex text spells no whole bytes.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise BadInput(f"file {name}: cannot be read: {error.strerror}") from error
    if not data.strip() or not _HEX_DIGITS.issuperset(data):
        return [data]
    try:
        return [hex_tokens(line) for line in data.splitlines() if line.strip()]
    except ValueError as error:
        raise BadInput(
            f"file {name}: looks like hex text but does not spell whole bytes; give raw bytes"
            " or two hex digits for each"
        ) from error


def hex_tokens(text: bytes) -> bytes:
    """The bytes that hex text spells; a digit alone between blanks is one byte.

    Raises ValueError where the text spells no whole bytes.
    """
    tokens = text.decode("ascii").split()
    return bytes.fromhex("".join(token.zfill(2) if len(token) == 1 else token for token in tokens))


def on_micropython(data: bytes, script: str) -> dict[str, Any]:
    """What a document script gives for `data` in the device's interpreter.

    Raises EnvironmentProblem where it does not run.
    """
    command = [str(find_micropython()), script]
    environment = {**os.environ, "MICROPYPATH": str(firmware_dir())}
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, env=environment, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentProblem(f"{command[0]}: the decoder did not run: {error}") from error
    if done.returncode:
        raise EnvironmentProblem(
            f"{command[0]}: the decoder ended with {done.returncode}: "
            + done.stderr.decode(errors="replace").strip()
        )
    return json.loads(done.stdout)
