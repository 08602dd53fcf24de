"""Commands on their way to control boxes: stored, offered to the box's long poll, answered.

A command stays on offer until the box answers or the wait for it ends; the same command
again gets the stored answer, or a new wait when the first one ended in silence. Rights are
decided before a command comes here. Waits are in real time: boxes and sockets are real.
"""

import asyncio

from clsbench import steps
from clsbench.clock import BenchClock
from clsbench.smgw.core.commands import Answer, Command
from clsbench.smgw.exchange import ANSWERED, Exchange
from clsbench.smgw.journal import FAILURE, INFO, SMGW, SUCCESS, WARNING, Journal
from clsbench.smgw.worker import StoreWorker


class CommandConflict(Exception):
    """The id is known with other content, or answered otherwise; the text names it."""


class ClsSilent(Exception):
    """The control box gave no answer in time; the text says who and how long."""


class UnknownCommand(Exception):
    """No command with this id was ever meant for this control box."""


class _Wait:
    """The callers that wait for one command's answer."""

    def __init__(self, command: Command):
        self.command = command
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.callers = 0
        self.offers = 0


class CommandDesk:
    """Brings commands and answers together. timeout_s: real seconds a box has to answer."""

    def __init__(
        self,
        exchange: Exchange,
        worker: StoreWorker,
        journal: Journal,
        clock: BenchClock,
        timeout_s: float,
    ):
        self._exchange = exchange
        self._worker = worker
        self._journal = journal
        self._clock = clock
        self._timeout_s = timeout_s
        self._waits: dict[str, _Wait] = {}  # by command id, oldest first
        self._changed = asyncio.Condition()

    async def submit(self, command: Command, final_consumer: str) -> Answer:
        """The control box's answer. Raises CommandConflict, ClsSilent."""
        stored = await self._worker.run(self._exchange.open_command, command, self._clock.now_ms())
        if stored.command != command:
            raise CommandConflict(f"command {command.id} is known with other content")
        if stored.answer is not None:
            return stored.answer
        wait = self._waits.get(command.id)
        if wait is None:
            wait = self._waits[command.id] = _Wait(command)
            self._journal.system("command.open", command.emt, _told(command))
            self._journal.consumer(final_consumer, "command.open", command.emt, _told(command))
        async with self._changed:
            self._changed.notify_all()
        return await self._wait_for(wait, final_consumer)

    async def next_for(self, cls_id: str, wait_s: float) -> Command | None:
        """The oldest open command for this box, or None when none came in `wait_s`."""
        try:
            async with asyncio.timeout(wait_s), self._changed:
                await self._changed.wait_for(lambda: self._oldest(cls_id) is not None)
        except TimeoutError:
            return None
        wait = self._oldest(cls_id)
        if wait is None:
            return None
        wait.offers += 1
        command = wait.command
        self._journal.step(steps.PROXY, SMGW, "DICAMM", command.uuid, action=command.action)
        return command

    async def answer(self, cls_id: str, command_id: str, answer: Answer) -> Command:
        """Stores the box's answer and hands it on; returns its command.

        An answer after the wait has ended is kept for a repeat of the command.
        Raises UnknownCommand, CommandConflict when another answer stands already.
        """
        stored = await self._worker.run(self._exchange.command, command_id)
        if stored is None or stored.command.cls_id != cls_id:
            raise UnknownCommand(f"no command {command_id} for {cls_id}")
        if stored.state == ANSWERED:
            if stored.answer != answer:
                raise CommandConflict(f"command {command_id} is answered otherwise")
            return stored.command
        await self._worker.run(
            self._exchange.answer_command, command_id, answer, self._clock.now_ms()
        )
        wait = self._waits.pop(command_id, None)
        if wait is not None and not wait.answer.done():
            wait.answer.set_result(answer)
        command, ok = stored.command, answer.code == 0
        told = {"action": command.action, **answer.as_json()}
        self._journal.step(steps.SWITCHED, "DICAMM", SMGW, command.uuid, ok=ok, **told)
        return command

    async def _wait_for(self, wait: _Wait, final_consumer: str) -> Answer:
        wait.callers += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await asyncio.shield(wait.answer)
        except TimeoutError as error:
            raise ClsSilent(
                f"CLS {wait.command.cls_id} did not answer within {self._timeout_s:g} s"
                f" ({wait.offers} offers)"
            ) from error
        finally:
            wait.callers -= 1
            if not wait.answer.done() and wait.callers == 0:
                self._give_up(wait, final_consumer)
        self._told_answer(wait.command, answer, final_consumer)
        return answer

    def _give_up(self, wait: _Wait, final_consumer: str) -> None:
        self._waits.pop(wait.command.id, None)
        self._worker.post(self._exchange.expire_command, wait.command.id)
        command = wait.command
        message = f"{_told(command)}: no answer"
        self._journal.system("command.expired", command.cls_id, message, WARNING, FAILURE)
        self._journal.consumer(
            final_consumer, "command.expired", command.cls_id, message, WARNING, FAILURE
        )

    def _told_answer(self, command: Command, answer: Answer, final_consumer: str) -> None:
        good = answer.code == 0
        self._journal.event(
            SMGW,
            "aEMT",
            "message",
            "command.answered",
            uuid=command.uuid,
            ok=good,
            detail={"id": command.id, **answer.as_json()},
        )
        message = f"{_told(command)}: code {answer.code}"
        level, outcome = (INFO, SUCCESS) if good else (WARNING, FAILURE)
        self._journal.system("command.answered", command.cls_id, message, level, outcome)
        self._journal.consumer(
            final_consumer, "command.answered", command.cls_id, message, level, outcome
        )

    def _oldest(self, cls_id: str) -> _Wait | None:
        return next((w for w in self._waits.values() if w.command.cls_id == cls_id), None)


def _told(command: Command) -> str:
    return f"{command.action} {command.uuid} for {command.cls_id}"
