"""A new version over the link: staged, tried with the relay open, in force; or taken back."""

import pytest

from clsbench.errors import PeerRefused
from clsbench.hil.updating import Updating

LOCK = "trial of a new version"


@pytest.fixture
def updating(bench, tmp_path):
    return Updating(bench, tmp_path)


def texts(bench):
    return [record.text for record in bench.records() if record.event == "update"]


def test_a_sound_version_is_tried_with_the_relay_open_and_put_in_force(bench, board, updating):
    uuid = bench.transaction()
    before = updating.state()
    number = max(before.version, before.failed) + 1
    assert len(updating.stage(updating.manifest(number))) == 1  # the others are on the board
    updating.finish()
    board.sleep(1.0)
    board.wait(bench._greets, 30.0, "the new version's hello")
    assert bench.link.hello()["version"] == f"0.{number}.0"
    assert bench.link.status()["locked"] == [LOCK]  # no time yet
    code, _, text = bench.link.command("begin", bytes(16), "too early")
    assert (code, text) == (8, LOCK)  # INTERLOCKED
    bench.set_time()
    board.wait(lambda: updating.state().version == number, 30.0, "the end of the trial")
    after = updating.state()
    assert (after.slot, after.trial, after.failed) == (1 - before.slot, 0, 0)
    bench.status_when(lambda status: status["locked"] == [])
    assert texts(bench) == [f"staged {number}", f"good {number}"]
    assert [record.event for record in bench.records_of(uuid)] == ["begin", "end"]
    bench.transaction()


@pytest.mark.needs("power_cut")
def test_a_version_that_does_not_start_gives_way_to_the_one_before(bench, board, updating):
    before = updating.state()
    named = bench.link.hello()["version"]
    number = max(before.version, before.failed) + 1
    updating.stage(updating.manifest(number, "raise ValueError('broken on purpose')\n"))
    updating.finish()
    board.sleep(1.0)
    bench.ready(60.0)
    after = updating.state()
    assert (after.slot, after.version, after.trial) == (before.slot, before.version, 0)
    assert (after.failed, after.why) == (number, "error")
    assert bench.link.hello()["version"] == named
    board.wait(lambda: len(texts(bench)) == 2, 60.0, "the record of the way back")
    assert texts(bench) == [f"staged {number}", f"back {number}: error"]
    bench.transaction()


def test_a_manifest_with_a_changed_bit_or_an_older_version_is_refused(bench, updating):
    number = updating.state().version + 1
    manifest = updating.manifest(number)
    text = bytearray(manifest.text)
    text[60] ^= 4
    changed = type(manifest)(number, bytes(text), manifest.contents, manifest.paths)
    with pytest.raises(PeerRefused, match="not authentic"):
        updating.stage(changed)
    with pytest.raises(PeerRefused, match="is not newer"):
        updating.stage(updating.manifest(number - 1))
