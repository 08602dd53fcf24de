"""A new version over the link: in force after its trial, taken back when that fails, refused when
it is not authentic, not newer, not for this board, or damaged."""

import asyncio
import json
import random
import subprocess
import sys
import uuid

import pytest
import pytest_asyncio

from clsbench.bench.updates import SOUND, OpenLink, UpdateBench
from clsbench.device import update as steps
from clsbench.device.flash import flash
from clsbench.device.records import open_record
from clsbench.device.update_manifest import make_manifest
from clsbench.errors import PeerRefused


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory):
    made = UpdateBench(tmp_path_factory.mktemp("update"), random.Random(7))
    try:
        await made.start()
        yield made
    finally:
        made.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def texts(bench):
    async with OpenLink(bench.board.path) as link:
        found = await link.records()
    opened = [open_record(sealed, bench.key) for _, sealed in sorted(found)]
    return [record.text for record in opened if record.event == "update"]


async def refusal(bench, manifest):
    async with OpenLink(bench.board.path) as link:
        with pytest.raises(PeerRefused) as caught:
            await steps.stage(link, manifest, lambda _: None)
    return str(caught.value)


async def test_the_command_puts_a_version_in_force_and_every_step_is_a_record(bench):
    await bench.switch()
    command = [sys.executable, "-m", "clsbench", "update", "--port", bench.board.path, "--json"]
    command += ["--key", str(bench.work / "records.key"), "--version", "5"]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["good"] and said["state"]["version"] == 5 and said["state"]["slot"] == 1
    assert said["sent"] == 0  # the same firmware: every file was copied from the slot that ran
    bench.version = bench._number = 5
    assert await texts(bench) == ["staged 5", "good 5"]
    await bench.look_at_records()
    assert bench.course.findings == []


async def test_a_version_that_does_not_start_is_taken_back_and_told(bench):
    before = bench.version
    state = await bench.update("error", cut=False)
    assert (state.version, state.failed, state.why) == (before, bench._number, "error")
    assert (await texts(bench))[-2:] == [f"staged {bench._number}", f"back {bench._number}: error"]
    assert bench.course.findings == []


async def test_a_version_that_hangs_is_taken_back_by_the_watchdog(bench):
    state = await bench.update("reset", cut=False)
    assert state.why == "reset"
    assert bench.course.findings == []


async def test_after_power_cuts_the_board_runs_whole_versions_and_has_every_record(bench):
    for _ in range(2):
        await bench.switch()
        await bench.update(SOUND)
        await bench.look_at_records()
    assert bench.course.cuts == 2
    assert bench.course.findings == []


async def test_a_version_that_is_not_newer_is_refused(bench):
    for number in (bench.version, bench.version - 1):
        said = await refusal(bench, bench.manifest(SOUND, number))
        assert f"version {number} is not newer than {bench.version}" in said


async def test_manifests_of_another_key_board_or_path_are_refused(bench):
    number, files = bench.version + 1, bench.files
    assert "not authentic" in await refusal(bench, make_manifest("unix", number, files, bytes(32)))
    assert "for another board: board rpi_pico" in await refusal(
        bench, make_manifest("rpi_pico", number, files, bench.key)
    )
    for path in ("main.mpy", "lib/dicamm/../x.mpy", "lib/other/x.mpy", "lib/dicamm/config.json"):
        odd = make_manifest("unix", number, [(path, b"M")], bench.key)
        assert f"path not allowed: {path}" in await refusal(bench, odd)


async def test_changed_manifests_are_refused(bench):
    whole = bench.manifest(SOUND, bench.version + 1)
    for _ in range(8):
        at = bench.chance.randrange(len(whole.text))
        text = bytearray(whole.text)
        text[at] ^= 1 << bench.chance.randrange(8)
        changed = type(whole)(whole.version, bytes(text), whole.contents, whole.paths)
        assert "not authentic" in await refusal(bench, changed)


async def test_a_damaged_file_is_refused_and_what_arrived_whole_is_not_sent_again(bench):
    files = [(path, content) for path, content in bench.files if path.endswith(".mpy")]
    fresh = [(path, bytes([n + 1]) * 900) for n, (path, _) in enumerate(files[:3])] + files[3:]
    manifest = make_manifest("unix", bench.version + 1, fresh, bench.key)
    third = manifest.paths.index(fresh[2][0])
    contents = list(manifest.contents)
    contents[third] = bytes(900)
    damaged = type(manifest)(manifest.version, manifest.text, tuple(contents), manifest.paths)
    assert f"file {third} has another hash" in await refusal(bench, damaged)
    async with OpenLink(bench.board.path) as link:
        assert await steps.stage(link, manifest, lambda _: None) == 1


async def test_nothing_is_tried_while_a_transaction_is_open(bench):
    manifest = bench.manifest(SOUND, bench.version + 1)
    key = uuid.uuid4().bytes
    async with OpenLink(bench.board.path) as link:
        assert (await link.command("begin", key))[0] == 0
        await steps.stage(link, manifest, lambda _: None)
        with pytest.raises(PeerRefused, match="a transaction is open"):
            await steps.start_trial(link)
        assert (await link.command("end", key))[0] == 0
        assert (await steps.slot_state(link)).version == bench.version


async def test_steps_out_of_order_and_of_no_form_are_refused(bench):
    async with OpenLink(bench.board.path) as link:
        await link.request({0: 14, 2: 0})
        for message in ({2: 4}, {2: 3, 3: 0, 4: 0, 5: b"x"}, {2: 9}, {2: "x"}, {2: 1, 3: -1}):
            assert (await link.request({0: 14} | message))[2] == 12  # BAD_MESSAGE
        assert (await link.request({0: 14, 2: 1, 3: 7, 5: b"x"}))[2] == 12  # not at the end


async def test_what_the_cable_brings_is_in_force(bench):
    assert bench.version
    await asyncio.to_thread(flash, bench.board.path, bench.files)
    async with OpenLink(bench.board.path) as link:
        state = await steps.slot_state(link)
    assert (state.slot, state.version, state.trial) == (0, 0, 0)
