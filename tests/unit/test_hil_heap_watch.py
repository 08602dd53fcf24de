"""The heap rule of the HIL suite finds what leaks, and nothing else; a start is told by its id."""

from types import SimpleNamespace

import pytest

from clsbench.device.link_inbox import restarted
from clsbench.hil.bench_rules import HEAP_SLACK_WORDS, Watch

SLACK = HEAP_SLACK_WORDS * 4  # of a board of 32 bits
BASE = 60_000


class Device:
    """Answers with what is in use then; `later`: what further looks find, one after the other."""

    def __init__(self):
        self.start_id, self.allocated, self.later = 1, BASE, []

    def hello(self):
        return {"mono_ms": 5, "start_id": self.start_id}

    def status(self):
        if self.later:
            self.allocated = self.later.pop(0)
        return {
            "open_uuid": None,
            "relay_closed": False,
            "heap": {"allocated": self.allocated},
        }


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def watch(device) -> Watch:
    board = SimpleNamespace(firmware="rpi_pico", sleep=lambda seconds: None)
    bench = SimpleNamespace(link=device, board=board, relay_closed=False)
    return Watch(bench)  # pyright: ignore[reportArgumentType]


def test_heap_that_stays_within_the_slack_is_fine(watch, device):
    watch.begin(device.status())
    device.allocated = BASE + SLACK
    watch.check()


def test_heap_that_is_gone_is_told(watch, device):
    watch.begin(device.status())
    device.allocated = BASE + SLACK + 16
    with pytest.raises(
        AssertionError, match=f"{SLACK + 16} bytes above its least since the start"
    ):
        watch.check()


@pytest.mark.parametrize("looks_before", [0, 1, 7])  # 7: only the last of all looks is fine
def test_a_stale_reference_that_goes_is_no_leak(watch, device, looks_before):
    watch.begin(device.status())
    device.later = [BASE + 2 * SLACK] * (1 + looks_before) + [BASE + 100]
    watch.check()
    assert not device.later


def test_what_single_tests_leave_adds_up(watch, device):
    for _ in range(4):
        watch.begin(device.status())
        device.allocated += SLACK // 4
        watch.check()
    watch.begin(device.status())
    device.allocated += SLACK // 4
    with pytest.raises(AssertionError, match="heap"):
        watch.check()


def test_a_start_begins_anew(watch, device):
    watch.begin(device.status())
    device.start_id, device.allocated = 2, BASE + 3 * SLACK
    watch.check()
    device.allocated += SLACK + 16
    with pytest.raises(AssertionError, match="heap"):
        watch.check()


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"mono_ms": 900, "start_id": 7}, {"mono_ms": 1900, "start_id": 7}, False),
        ({"mono_ms": 900, "start_id": 7}, {"mono_ms": 1900, "start_id": 8}, True),
        ({"mono_ms": 900}, {"mono_ms": 1900}, False),  # firmware without the id
        ({"mono_ms": 900}, {"mono_ms": 200}, True),
        ({"mono_ms": 900}, {"mono_ms": 1900, "start_id": 8}, True),  # updated meanwhile
    ],
)
def test_a_restart_is_told_however_young_the_device_was(before, now, expected):
    assert restarted(before, now) is expected
