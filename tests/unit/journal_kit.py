"""What the tests of the journal share: the record flash of the unix board, records as made."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "boards" / "unix" / "shim"), str(ROOT / "tests" / "faults")]

import layout1 as layout1  # noqa: E402 - where it is stands above
import nor_model  # noqa: E402
import norflash  # noqa: E402
import workload  # noqa: E402

NorFile = norflash.NorFile
Rng = nor_model.Rng
Records = workload.Records
link_of = workload.link_of
