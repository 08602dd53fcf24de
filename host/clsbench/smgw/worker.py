"""The one thread that touches the database, so that waiting for the disk delays no telegram.

Calls run in the order given. Knows no tables.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from clsbench.errors import EnvironmentProblem
from clsbench.store.database import FAILURES

P = ParamSpec("P")
T = TypeVar("T")


class StoreWorker:
    """Runs store calls one after another in a thread of their own.

    `broken` is set, with EnvironmentProblem, by the first database error: a gateway that
    cannot write its records must stop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="smgw-store")
        self.broken: asyncio.Future[None] = loop.create_future()

    def begin(
        self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> "asyncio.Future[T]":
        """Gives `call` its turn at once, behind everything given before; its result to come."""
        done = self._executor.submit(call, *args, **kwargs)
        done.add_done_callback(self._check)
        return asyncio.wrap_future(done, loop=self._loop)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `call`, after everything given before it has been done."""
        return await self.begin(call, *args, **kwargs)

    def post(self, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Does `call` in its turn; nobody waits for it."""
        self._executor.submit(call, *args, **kwargs).add_done_callback(self._check)

    def close(self) -> None:
        """Returns when everything given has been done."""
        self._executor.shutdown(wait=True)

    def _check(self, done: Future) -> None:
        error = None if done.cancelled() else done.exception()
        if isinstance(error, FAILURES) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._break, error)

    def _break(self, error: Exception) -> None:
        if not self.broken.done():
            self.broken.set_exception(EnvironmentProblem(f"gateway database: {error}"))
