"""The control boxes of a load run: their ids, their certificates, and the configuration files.

Each box has a certificate of its own, pinned by a CLS profile of its own; all announce to one
TAF16 profile on one meter, whose records go to one aEMT. Knows files, runs nothing.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clsbench.pki.layout import DEFAULT_EMT, DEFAULT_GWA, DEFAULT_SMGW, Pki

METER = "1EMH0098765432"
PROFILE = "taf16-load"

_SMGW = """\
[smgw]
id = "{smgw}"
state_dir = "smgw"
[pki]
dir = "pki"
[han]
port = 0
[gwa]
name = "{gwa}"
port = 1
[[emt]]
name = "{emt}"
channel_port = 1
delivery_port = {delivery}
cls_ids = {boxes}
[[lmn]]
port = "{line}"
meter_id = "{meter}"
[[taf]]
id = "{profile}"
number = 16
meter_id = "{meter}"
final_consumer = "consumer-1"
emt = "{emt}"
event_sources = {boxes}
"""

_EMT = """\
[emt]
name = "{emt}"
state_dir = "emt"
operator_socket = "emt.sock"
[pki]
dir = "pki"
[gwa]
name = "{gwa}"
service_port = 1
"""


@dataclass(frozen=True)
class Population:
    """Everything a run needs on disk, in `work`."""

    work: Path
    pki: Pki
    cls_ids: tuple[str, ...]

    @property
    def smgw_config(self) -> Path:
        """Written by `write_smgw`, when the ports of the others are known."""
        return self.work / "smgw.toml"

    @property
    def emt_config(self) -> Path:
        """Of the aEMT that gets the records."""
        return self.work / "emt.toml"

    def write_emt(self) -> None:
        """The aEMT's configuration; its GWA is never asked."""
        self.emt_config.write_text(_EMT.format(emt=DEFAULT_EMT, gwa=DEFAULT_GWA))

    def write_smgw(self, line: str, delivery_port: int) -> None:
        """The gateway's configuration. line: tty of the meter."""
        text = _SMGW.format(
            smgw=DEFAULT_SMGW,
            gwa=DEFAULT_GWA,
            emt=DEFAULT_EMT,
            delivery=delivery_port,
            boxes=json.dumps(self.cls_ids),
            line=line,
            meter=METER,
            profile=PROFILE,
        )
        boxes = "".join(f'[[cls]]\ncls_id = "{cls_id}"\n' for cls_id in self.cls_ids)
        self.smgw_config.write_text(text + boxes)


def populate(work: Path, boxes: int, made: Callable[[int], None]) -> Population:
    """Makes PKI and certificates of `boxes` control boxes in the empty folder `work`.

    made(n): told of n certificates more. Raises BadInput, EnvironmentProblem.
    """
    pki = Pki.init(work / "pki", cls_ids=())
    cls_ids = tuple(f"ETST01{number:08d}" for number in range(1, boxes + 1))
    for cls_id in cls_ids:
        pki.issue_cls(cls_id)
        made(1)
    return Population(work, pki, cls_ids)
