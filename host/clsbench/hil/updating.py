"""Updates of a board on the bench: the steps of `device.update`, waiting in the board's own time.

Also makes versions that are broken on purpose. Knows no pytest.
"""

from pathlib import Path
from typing import Any

from clsbench.device.boards import board_facts
from clsbench.device.build import build_firmware, compile_file
from clsbench.device.link_inbox import UPDATE
from clsbench.device.update import (
    BEGIN,
    CHECK,
    CHUNK,
    FILE_BYTES,
    FINISH,
    MANIFEST_BYTES,
    STATE,
    SlotState,
)
from clsbench.device.update_manifest import Manifest, make_manifest
from clsbench.errors import PeerRefused
from clsbench.hil.benching import Bench

INIT = "lib/dicamm/__init__.mpy"
STEP_S = 120.0  # a step may hash every file of both slots, and an emulated flash is slow


class Updating:
    """work: folder for sources of versions and compiled modules."""

    def __init__(self, bench: Bench, work: Path):
        self._bench = bench
        self._work = work

    def manifest(self, number: int, body: str = "") -> Manifest:
        """Version `number`: the firmware, its `dicamm/__init__` ending with `body`."""
        board = self._bench.board.firmware
        source = self._work / f"init-{number}.py"
        source.write_text(f'VERSION = "0.{number}.0"\n{body}')
        init = compile_file(source, "dicamm/__init__.py", board_facts(board).arch)
        files = [
            (path, init if path == INIT else content)
            for path, content in build_firmware(board, self._work / "firmware")
        ]
        return make_manifest(board, number, files, self._bench.key)

    def state(self) -> SlotState:
        """What the device says of its slots."""
        return SlotState(*self.step(STATE)[3])

    def stage(self, manifest: Manifest) -> list[int]:
        """Sends manifest and missing files; the numbers of those. Raises PeerRefused."""
        self.step(BEGIN)
        for at in range(0, len(manifest.text), CHUNK):
            self.step(MANIFEST_BYTES, at, data=manifest.text[at : at + CHUNK])
        wanted = self.step(CHECK)[3]
        for index in wanted:
            content = manifest.contents[index]
            for at in range(0, len(content), CHUNK):
                self.step(FILE_BYTES, at, index, content[at : at + CHUNK])
        return wanted

    def finish(self) -> None:
        """The device restarts into the staged version. Raises PeerRefused."""
        self.step(FINISH)

    def step(
        self, what: int, at: int | None = None, index: int | None = None, data: bytes | None = None
    ) -> dict[int, Any]:
        """One step; the reply. Raises PeerRefused, PeerSilent."""
        message: dict[int, Any] = {0: UPDATE, 2: what}
        message |= {k: v for k, v in ((3, at), (4, index), (5, data)) if v is not None}
        reply = self._bench.link.request(message, STEP_S)
        if reply[2]:
            raise PeerRefused(f"update refused: {reply[4]} (code {reply[2]})")
        return reply
