"""Starts the tasks, restarts what fell, feeds the watchdog. The one place with a broad except.

A task that raises is recorded and started again after a pause; the relay goes safe first.
A task that stops reporting starves the watchdog, and the chip resets into the safe state.
"""

import asyncio

from dicamm import codes

ROUND_MS = 500
RESTART_PAUSE_MS = 1000


class Supervisor:
    """clock, log: ports of the app; watchdog: port with feed(); on_fault: called before a fallen
    task is started again."""

    def __init__(self, clock, log, watchdog, on_fault):
        self._clock = clock
        self._log = log
        self._watchdog = watchdog
        self._on_fault = on_fault
        self._tasks = []
        self._last_us = {}
        self._silence_us = {}
        self.restarts = {}

    def add(self, name, run, silence_ms):
        """name: for the log; run: async function taking `alive`; silence_ms: real time it may go
        without calling `alive` before it counts as hung."""
        self._silence_us[name] = silence_ms * 1000
        self.restarts[name] = 0
        self._tasks.append(asyncio.create_task(self._keep(name, run)))

    async def watch(self, until):
        """Feeds the watchdog while all tasks report; returns when `until()` is true."""
        while not until():
            now = self._clock.real_us()
            late = [
                name for name, last in self._last_us.items() if now - last > self._silence_us[name]
            ]
            if late:
                self._on_fault()
                self._log.write(codes.TASK_HUNG, late[0])
            else:
                self._watchdog.feed()
            await asyncio.sleep_ms(ROUND_MS)

    def stop(self):
        """Cancels every task."""
        for task in self._tasks:
            task.cancel()

    async def _keep(self, name, run):
        def alive():
            self._last_us[name] = self._clock.real_us()

        while True:
            alive()
            try:
                await run(alive)
                self._last_us.pop(name, None)
                return
            except Exception as error:  # noqa: BLE001 - recorded, relay safe, task restarted
                self._on_fault()
                self.restarts[name] += 1
                self._log.write(codes.TASK_RESTARTED, name, repr(error)[:80])
            alive()
            await asyncio.sleep_ms(RESTART_PAUSE_MS)
