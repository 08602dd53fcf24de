"""Many switchings on end: each answered, seen at the relay, recorded once, no heap lost. One run
serves all tests of the file."""

import uuid as uuidlib
from dataclasses import dataclass, field

import pytest

from clsbench.device.boards import board_facts
from clsbench.device.records import DeviceRecord, check_chain
from clsbench.hil.board import RELAY_EDGES

LONG, SHORT = 1000, 60  # switchings: begins and ends
WARM_UP = 0.4  # of the run: by then log and answers are full
SAMPLES = 8
GROWTH_LIMIT_WORDS = 128  # over the rest of the run; a block of four in every tenth would be 240
FETCH_EVERY = 200  # records

pytestmark = pytest.mark.timeout(1500)


@dataclass
class Campaign:
    """What happened. switched: UUID and action; heap: bytes in use warmed up, and at the end."""

    wanted: int
    switched: list[tuple[str, str]] = field(default_factory=list)
    records: dict[int, DeviceRecord] = field(default_factory=dict)
    heap: list[int] = field(default_factory=list)
    edges: list[int] = field(default_factory=list)

    def run(self, bench) -> None:
        while len(self.switched) < self.wanted:
            text = str(uuidlib.UUID(bytes=bench.transaction()))
            self.switched += [(text, "begin"), (text, "end")]
            if len(self.switched) % FETCH_EVERY == 0:
                self.fetch(bench)
            if not self.heap and len(self.switched) >= self.wanted * WARM_UP:
                self.heap.append(heap(bench))
        self.fetch(bench)
        self.heap.append(heap(bench))

    def fetch(self, bench) -> None:
        """Takes the records over and lets them give way."""
        found = bench.records()
        self.records |= {record.seq: record for record in found}
        bench.mark()


def heap(bench) -> int:
    """Bytes in use: the least of some samples, since each finds a poll at another point."""
    found = []
    for _ in range(SAMPLES):
        found.append(bench.link.status()["heap"]["allocated"])
        bench.board.sleep(0.1)
    return min(found)


@pytest.fixture(scope="module")
def campaign(hil_rig) -> Campaign:
    """The run."""
    board = hil_rig.board
    hil_rig.recover()
    hil_rig.mark()
    campaign = Campaign(LONG if hil_rig.is_long else SHORT)
    observed = RELAY_EDGES in board.caps
    before = len(board.pin(board.wiring.relay)) if observed else 0
    campaign.run(hil_rig)
    if observed:
        campaign.edges = [level for _, level in board.pin(board.wiring.relay)[before:]]
    return campaign


def test_every_switching_is_recorded_once_and_in_order(campaign, bench):
    switched = [
        (record.uuid, record.event)
        for record in campaign.records.values()
        if record.event in ("begin", "end")
    ]
    assert switched == campaign.switched and len(switched) == campaign.wanted
    assert check_chain(campaign.records.values()) == []


@pytest.mark.needs("relay_edges")
def test_the_relay_moved_once_for_every_switching(campaign, bench):
    assert campaign.edges == [1, 0] * (campaign.wanted // 2)


@pytest.mark.long
def test_switching_costs_no_heap(campaign, bench):
    before, after = campaign.heap
    limit = GROWTH_LIMIT_WORDS * board_facts(bench.board.firmware).word_size
    assert after - before < limit
