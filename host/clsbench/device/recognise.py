"""Which board is on a port, and what lies in its flash: asked at the REPL, nothing is written.

Knows MicroPython's own answers; the firmware need not be there.
"""

import ast
from dataclasses import dataclass

from clsbench.device.boards import (
    OLDEST,
    BoardFacts,
    architecture,
    board_facts,
    board_names,
    matching,
)
from clsbench.device.repl import RawRepl
from clsbench.errors import BadInput, PeerRefused

_ASK = """
import sys
i = sys.implementation
print(repr((sys.platform, i.name, tuple(i[1][:3]), getattr(i, "_machine", ""),
    getattr(i, "_mpy", 0))))
"""
_BYTECODE = 6  # of .mpy files, as mpy-cross here writes them


@dataclass(frozen=True)
class Found:
    """A board on a port."""

    facts: BoardFacts
    version: tuple[int, ...]
    machine: str

    @property
    def micropython(self) -> str:
        """Such as `1.24.1`."""
        return ".".join(map(str, self.version))


def recognise(repl: RawRepl, board: str | None = None) -> Found:
    """What answers at the REPL; `board`: what the user says it is.

    Raises PeerRefused for an interpreter that cannot run the firmware, BadInput for a board that
    is not known, or not the one it is said to be; each with the next step.
    """
    try:
        platform, name, version, machine, mpy = ast.literal_eval(repl.run(_ASK).strip())
    except (ValueError, SyntaxError) as error:
        raise PeerRefused(f"board on {repl.port} does not say what it is: {error}") from error
    if name != "micropython":
        raise PeerRefused(f"board on {repl.port} runs {name}: the firmware needs MicroPython")
    words = f"MicroPython {'.'.join(map(str, version))} on {machine}"
    if tuple(version[:2]) < OLDEST:
        raise PeerRefused(
            f"board on {repl.port} runs {words}: older than {'.'.join(map(str, OLDEST))}.\n"
            "  Put a newer image on: clsbench flash --image FILE"
        )
    if mpy & 0xFF != _BYTECODE:
        raise PeerRefused(
            f"board on {repl.port} runs {words}, which takes bytecode {mpy & 0xFF}, "
            f"this program writes {_BYTECODE}"
        )
    candidates = matching(platform, machine)
    facts = board_facts(board or _best(repl.port, candidates, words))
    _check_fits(repl.port, facts, platform, mpy, words)
    if candidates and facts.name not in candidates:
        raise BadInput(
            f"board on {repl.port} runs {words}: that is {candidates[0]}, not {facts.name}.\n"
            f"  Leave --board out; or, where it is a {facts.title}, put its own image on: "
            f"clsbench flash --image {facts.image}-….{'uf2' if facts.port == 'rp2' else 'bin'}"
        )
    return Found(facts, tuple(version), machine)


def _best(port: str, candidates: list[str], words: str) -> str:
    if candidates:
        return candidates[0]
    raise BadInput(
        f"board on {port} is none that this program knows: {words}.\n"
        f"  If its pins are as those of one of these, name it: "
        f"--board {'|'.join(board_names())}"
    )


def _check_fits(port: str, facts: BoardFacts, platform: str, mpy: int, words: str) -> None:
    arch = architecture(mpy)
    unix = facts.port == "unix" and platform in ("linux", "darwin")
    if not unix and facts.port != platform:
        raise BadInput(f"board on {port} runs {words}: that is no {facts.name}")
    if arch and arch != facts.arch and not unix:
        raise BadInput(
            f"board on {port} runs {words}, whose native code is {arch}: "
            f"{facts.name} has {facts.arch}"
        )
