"""Brings a new version onto a running DICAMM over its console port, and follows its trial.

Knows the steps of docs/update.md and the bench link; what a version is made of is in
`update_manifest`.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clsbench.device.link import LinkClient
from clsbench.device.link_inbox import UPDATE
from clsbench.device.update_manifest import Manifest
from clsbench.errors import PeerRefused, PeerSilent

BEGIN, MANIFEST_BYTES, CHECK, FILE_BYTES, FINISH, STATE = range(6)

CHUNK = 640  # bytes of a message; a frame's payload is at most 1024
STEP_S = 20.0  # a step may hash every file of both slots
TRIES = 3
TRIAL_S = 200.0  # the device gives itself 120 s, and restarts up to three times
_LOOK_S = 1.0
_CLOCK_BOUND_MS = 500

Progress = Callable[[int], None]


@dataclass(frozen=True)
class SlotState:
    """What a device says of its two slots. failed: the version taken back last (0: none), why:
    bus, relay, journal, time, reset, power or error."""

    slot: int
    version: int
    trial: int
    starts: int
    failed: int
    why: str


async def slot_state(link: LinkClient) -> SlotState:
    """What runs. Raises PeerRefused, PeerSilent."""
    return SlotState(*(await _step(link, STATE))[3])


async def stage(link: LinkClient, manifest: Manifest, progress: Progress) -> int:
    """Sends manifest and missing files; returns how many files were sent.

    progress(n): of n bytes more that need not be sent any more. An interrupted stage is begun
    again: what arrived stays. Raises PeerRefused with the device's reason, PeerSilent.
    """
    await _step(link, BEGIN)
    for at in range(0, len(manifest.text), CHUNK):
        await _step(link, MANIFEST_BYTES, at, None, manifest.text[at : at + CHUNK])
    wanted = (await _step(link, CHECK))[3]
    progress(sum(len(c) for n, c in enumerate(manifest.contents) if n not in set(wanted)))
    for index in wanted:
        content = manifest.contents[index]
        for at in range(0, max(len(content), 1), CHUNK):
            part = content[at : at + CHUNK]
            await _step(link, FILE_BYTES, at, index, part)
            progress(len(part))
    return len(wanted)


async def start_trial(link: LinkClient) -> None:
    """The device restarts into the new version. Raises PeerRefused, PeerSilent."""
    await _step(link, FINISH)


async def outcome(port: str, version: int, set_time: bool, within_s: float = TRIAL_S) -> SlotState:
    """Follows the trial of `version` to its end.

    set_time: gives the device the host's time, where no gateway does. Raises PeerSilent when
    the device is neither in the new version nor back in the old one in `within_s` seconds.
    """
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            state = await _look(port, set_time)
        except PeerSilent:
            state = None  # restarting
        if state is not None and (state.version == version or state.failed == version):
            return state
        await asyncio.sleep(_LOOK_S)
    raise PeerSilent(
        f"the device on {port} did not end the trial of version {version} in {within_s:g} s. "
        f"Look with: clsbench log --port {port}"
    )


async def _look(port: str, set_time: bool) -> SlotState:
    link = await LinkClient.open(port)
    try:
        await link.hello(timeout_s=1.0, tries=3)
        state = await slot_state(link)
        if state.trial and set_time:
            await link.set_time(time.time_ns() // 1_000_000, _CLOCK_BOUND_MS)
        return state
    finally:
        await link.close()


async def _step(
    link: LinkClient,
    what: int,
    at: int | None = None,
    index: int | None = None,
    data: bytes | None = None,
) -> dict[int, Any]:
    message: dict[int, Any] = {0: UPDATE, 2: what}
    for key, value in ((3, at), (4, index), (5, data)):
        if value is not None:
            message[key] = value
    reply = await link.request(message, STEP_S, TRIES)
    if reply[2]:
        raise PeerRefused(
            f"device on {link.port} refused the update: {reply[4]} (code {reply[2]})"
        )
    return reply
