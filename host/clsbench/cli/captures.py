"""Captured bytes from files, and the device's interpreter to read them in."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.hil.interpreter import find_micropython
from clsbench.paths import firmware_dir

_TIMEOUT_S = 300
_HEAP = 16 << 20
_HEAP_PER_BYTE = 1000
_HEX_TEXT = re.compile(
    rb"(?:\xef\xbb\xbf)?(?>\s|[,;:-]|0[xX](?=[0-9a-fA-F]{2})|[0-9a-fA-F]|#[^\0-\x08\x0e-\x1f\n]*+)*+"
)
_BETWEEN = re.compile(rb"\xef\xbb\xbf|0[xX]|[,;:-]|#.*")


def read_capture(name: str) -> bytes:
    """The bytes of a file (- is stdin); hex text is turned into what it spells.

    Hex text: digits with blanks, line ends, `,` `;` `:` `-` or `0x` between bytes, `#` begins a
    comment. Raises BadInput where the file cannot be read or the text spells no whole bytes.
    """
    return b"".join(_pieces(name, _read(name), lines=False))


def read_lines(name: str) -> list[bytes]:
    """The same, each line of hex text apart; raw bytes are one piece.

    Raises BadInput where the file cannot be read or its hex text spells no whole bytes.
    """
    return _pieces(name, _read(name), lines=True)


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise BadInput(f"file {name}: cannot be read: {error.strerror}") from error


def _pieces(name: str, data: bytes, lines: bool) -> list[bytes]:
    if not data.strip() or not _HEX_TEXT.fullmatch(data):
        return [data]
    text = [_BETWEEN.sub(b" ", line) for line in data.splitlines()]
    try:
        try:
            return [hex_tokens(line) for line in text if line.strip()]
        except ValueError:
            if lines:
                raise
            return [bytes.fromhex(b"".join(text).decode("ascii"))]  # broken inside a byte
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
    heap = _HEAP + _HEAP_PER_BYTE * len(data)  # what is found is kept until all is read
    command = [str(find_micropython()), "-X", f"heapsize={heap}", script]
    environment = {**os.environ, "MICROPYPATH": str(firmware_dir())}
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, env=environment, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentProblem(f"{command[0]}: the decoder did not run: {error}") from error
    if done.returncode:
        words = (done.stdout[-1000:] + done.stderr).decode(errors="replace").split("\n")
        last = [line.strip() for line in words if line.strip()][-1:]
        raise EnvironmentProblem(
            f"{command[0]}: the decoder ended with {done.returncode}: {''.join(last)}"
        )
    return json.loads(done.stdout)
