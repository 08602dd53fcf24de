"""The tasks that serve a port's connections: kept while they run, ended together.

Knows streams; what is said on them and who may connect is told from outside.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class ServingTasks:
    """One for each port."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Serves a connection in a task of its own."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def protocol(self, serve: Serve) -> asyncio.StreamReaderProtocol:
        """The protocol of a fresh connection, which `serve` gets as streams."""
        return asyncio.StreamReaderProtocol(
            asyncio.StreamReader(), lambda reader, writer: self.begin(serve(reader, writer))
        )

    async def close(self) -> None:
        """Ends all of them; on return they have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
