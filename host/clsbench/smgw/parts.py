"""The running parts of a gateway: tasks under names, which may come and go while it runs.

Knows tasks only. What a part raises ends the wait for all of them.
"""

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any


class Parts:
    """Tasks by key. `watch` waits for all of them, whichever they are by then."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    def add(self, key: Hashable, run: Coroutine[Any, Any, None]) -> None:
        """Starts a part."""
        self._tasks[key] = asyncio.create_task(run)
        self._changed.set()

    async def drop(self, key: Hashable) -> None:
        """Ends a part; returns when it has ended. One that is not there has."""
        task = self._tasks.pop(key, None)
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])

    async def watch(self, stop: asyncio.Event, broken: "asyncio.Future[None]") -> None:
        """Returns when `stop` is set. Raises what `broken` holds, or what a part raised."""
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stopped.done():
                changed = asyncio.create_task(self._changed.wait())
                waiting = {stopped, broken, changed, *self._tasks.values()}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                self._changed.clear()
                if broken.done():
                    broken.result()
                for key, task in [each for each in self._tasks.items() if each[1].done()]:
                    del self._tasks[key]
                    task.result()
        finally:
            stopped.cancel()

    async def close(self) -> None:
        """Ends all parts."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
