"""The trial of a new version: good once bus, relay, journal and time have passed, else taken back.

Loaded only while a version is on trial. The relay stays open meanwhile: nothing can be begun.
"""

import asyncio

import slots
from dicamm.drivers import watchdog
from dicamm.metering.record import UPDATE

LOCK = "trial of a new version"
_ROUND_MS = 200
_SYNCHRONISED = 1


class Trial:
    """device: app.device.Device, built and not yet running. restart: resets the chip."""

    def __init__(self, device, restart=watchdog.reset):
        self._device = device
        self._restart = restart
        device.interlock.lock(LOCK)

    async def run(self, alive):
        """Ends when the version is good; otherwise with a restart into the one before."""
        clock = self._device.ports.clock
        until = clock.real_us() + self._device.settings.trial_s * 1000000
        while self._lacking():
            if clock.real_us() > until:
                slots.take_back(slots.load(), self._lacking())
                self._restart()
            alive()
            await asyncio.sleep_ms(_ROUND_MS)
        state = slots.load()
        # its own record is the proof that the journal takes one
        answer = await self._device.controller.event(UPDATE, "good %d" % state.trial)
        if answer.code:
            slots.take_back(state, "journal")
            self._restart()
        slots.accept(state)
        self._device.interlock.release(LOCK)

    def _lacking(self):
        device = self._device
        if not (device.meter.known and device.meter.healthy):
            return "bus"
        relay = device.ports.relay
        if relay.is_closed() or (relay.read_back is not None and relay.read_back()):
            return "relay"
        if device.legal_time.state(device.ports.clock.mono_ms()) != _SYNCHRONISED:
            return "time"
        return None


async def tell(controller, state):
    """The record of a version that was taken back, made by the one that is in force again."""
    answer = await controller.event(UPDATE, "back %d: %s" % (state.failed, state.why))
    if not answer.code:
        state.told = 1
        slots.save(state)
