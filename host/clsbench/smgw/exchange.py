"""What passes through the gateway between market participant and control box.

Commands and their answers one way, sealed records of the control box the other. Same
database, same rules as `store`: committed when a method returns. Opens no sealed record.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from clsbench.device.intake import Run, acknowledged, link_fault, missing
from clsbench.smgw.core.commands import Answer, Command
from clsbench.smgw.core.sealed import SealedRecord, previous_of
from clsbench.smgw.store import Store
from clsbench.store.database import transaction
from clsbench.store.device_records import runs_of
from clsbench.store.runs import KeptRuns

OPEN = "open"
ANSWERED = "answered"
EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """A command and how far it is: OPEN, ANSWERED (then with answer), or EXPIRED."""

    command: Command
    state: str
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Holding:
    """Which records of a control box are here.

    acknowledged: the highest seq up to which none is missing, counted from the first one that
    the control box still has, or where it does not say, from the first one ever held; beyond:
    [first, last] of each further run; missing: ranges to be sent again.
    """

    acknowledged: int
    beyond: tuple[Run, ...] = ()
    missing: tuple[Run, ...] = ()


class Exchange:
    """Commands and sealed records in the database of `store`."""

    def __init__(self, store: Store):
        self._db = store.database
        self._runs = KeptRuns(self._device_runs)
        self._forwarded: dict[tuple[str, str], int] = {}  # (emt, cls_id) -> all up to here are

    def command(self, command_id: str) -> StoredCommand | None:
        """The command with this id, if it ever came."""
        row = self._db.execute(
            "SELECT command, state, answer FROM commands WHERE id = ?", (command_id,)
        ).fetchone()
        if row is None:
            return None
        answer = Answer(**json.loads(row[2])) if row[2] is not None else None
        return StoredCommand(Command(**json.loads(row[0])), row[1], answer)

    def open_command(self, command: Command, at_ms: int) -> StoredCommand:
        """Stores a command as open and returns what is stored under its id.

        The same command that expired is opened again; any other is left as it is, so that
        the caller sees other content or the answer already given.
        """
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO commands VALUES (?, ?, 'open', NULL, ?, NULL)"
                " ON CONFLICT (id) DO UPDATE SET state = 'open'"
                " WHERE commands.state = 'expired' AND commands.command = excluded.command",
                (command.id, json.dumps(asdict(command)), at_ms),
            )
            stored = self.command(command.id)
        if stored is None:
            raise LookupError(f"command {command.id} vanished in its own transaction")
        return stored

    def answer_command(self, command_id: str, answer: Answer, at_ms: int) -> None:
        """Stores the answer; a command's first answer stands."""
        self._db.execute(
            "UPDATE commands SET state = 'answered', answer = ?, answered_ms = ?"
            " WHERE id = ? AND state != 'answered'",
            (json.dumps(answer.as_json()), at_ms, command_id),
        )

    def expire_command(self, command_id: str) -> None:
        """The control box was silent: the command is offered no more."""
        self._db.execute(
            "UPDATE commands SET state = 'expired' WHERE id = ? AND state = 'open'", (command_id,)
        )

    def expire_open_commands(self) -> int:
        """After a restart nobody waits for open commands: expires them, returns how many."""
        done = self._db.execute("UPDATE commands SET state = 'expired' WHERE state = 'open'")
        return done.rowcount

    def add_device_records(
        self, cls_id: str, records: list[SealedRecord], at_ms: int, first: int = 0
    ) -> tuple[Holding, list[int], list[str]]:
        """Stores what fits; returns what is held, which are new, and why others are refused.

        first: the control box has everything from this number on; 0: it does not say. A record
        that is here already is no error; one with other bytes, or that does not link to its
        neighbours, is refused and replaces nothing.
        """
        new: list[int] = []
        refused: list[str] = []
        with self._noted_transaction():
            for record in records:
                fault = self._fault(cls_id, record)
                if fault is None:
                    self._db.execute(
                        "INSERT INTO device_records VALUES (?, ?, ?, ?)",
                        (cls_id, record.seq, record.sealed, at_ms),
                    )
                    self._note(cls_id, record.seq)
                    new.append(record.seq)
                elif fault:
                    refused.append(fault)
        return self.holding(cls_id, first), new, refused

    def _device_runs(self, cls_id: str) -> list[Run]:
        return runs_of(self._db, "device_records", "cls_id = ?", (cls_id,))

    def _note(self, cls_id: str, seq: int) -> None:
        """A record of this number is stored, and forwarded to nobody."""
        self._runs.add(seq, cls_id)
        for (emt, of), done in list(self._forwarded.items()):
            if of == cls_id:
                self._forwarded[emt, of] = min(done, seq - 1)

    @contextmanager
    def _noted_transaction(self) -> Iterator[None]:
        """A transaction; what was noted within is forgotten with what it does not commit."""
        try:
            with transaction(self._db):
                yield
        except BaseException:
            self._runs.forget()
            self._forwarded.clear()
            raise

    def _fault(self, cls_id: str, record: SealedRecord) -> str | None:
        """None for a record to be stored, "" for one that is here, else the reason."""
        known = self._sealed(cls_id, record.seq)
        if known is not None:
            same = known == record.sealed
            return "" if same else f"record {record.seq} of {cls_id} is here with other bytes"
        after = self._sealed(cls_id, record.seq + 1)
        fault = link_fault(
            record.seq,
            record.sealed,
            record.previous,
            self._sealed(cls_id, record.seq - 1),
            previous_of(after) if after is not None else None,
        )
        return f"{cls_id}: {fault}" if fault else None

    def _sealed(self, cls_id: str, seq: int) -> bytes | None:
        row = self._db.execute(
            "SELECT sealed FROM device_records WHERE cls_id = ? AND seq = ?", (cls_id, seq)
        ).fetchone()
        return row[0] if row is not None else None

    def holding(self, cls_id: str, first: int = 0) -> Holding:
        """Which records of a control box are here; first: as in `add_device_records`."""
        runs = self._runs.of(cls_id)
        if not first:
            return Holding(runs[0][1], tuple(runs[1:])) if runs else Holding(0)
        mark = acknowledged(runs, first)
        beyond = tuple(run for run in runs if run[0] > mark)
        return Holding(mark, beyond, tuple(missing(runs, first)))

    def unforwarded(
        self, emt: str, cls_id: str, after_seq: int, limit: int
    ) -> list[tuple[int, bytes]]:
        """The records of a control box that a market participant lacks, oldest first.

        after_seq: only those with a higher number (0: all).
        """
        done = self._forwarded.get((emt, cls_id), 0)
        rows = self._db.execute(
            "SELECT seq, sealed FROM device_records r WHERE cls_id = ?1 AND NOT EXISTS"
            " (SELECT 1 FROM device_deliveries d WHERE d.emt = ?2 AND d.cls_id = ?1"
            " AND d.seq = r.seq) AND seq > ?3 ORDER BY seq LIMIT ?4",
            (cls_id, emt, max(after_seq, done), limit),
        ).fetchall()
        if after_seq <= done:
            newest = self._runs.of(cls_id)[-1][1] if self._runs.of(cls_id) else 0
            self._forwarded[emt, cls_id] = rows[0][0] - 1 if rows else max(done, newest)
        return rows

    def forwarded(self, emt: str, cls_id: str, seqs: list[int], at_ms: int) -> None:
        """Notes the acknowledgement of records of a control box."""
        with transaction(self._db):
            self._db.executemany(
                "INSERT INTO device_deliveries VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(emt, cls_id, seq, at_ms) for seq in seqs],
            )

    def send_again(self, emt: str, cls_id: str, ranges: list[Run]) -> int:
        """A market participant lacks these; returns how many of them are to be sent again."""
        self._forwarded.pop((emt, cls_id), None)
        with transaction(self._db):
            return sum(
                self._db.execute(
                    "DELETE FROM device_deliveries"
                    " WHERE emt = ? AND cls_id = ? AND seq BETWEEN ? AND ?",
                    (emt, cls_id, *each),
                ).rowcount
                for each in ranges
            )

    def send_records_again(self, emt: str, profile_id: str, ranges: list[Run]) -> int:
        """As `send_again`, for the gateway's own records of a profile."""
        with transaction(self._db):
            return sum(
                self._db.execute(
                    "UPDATE deliveries SET delivered_ms = NULL"
                    " WHERE emt = ? AND delivered_ms IS NOT NULL AND record_id IN (SELECT id"
                    " FROM gateway_records WHERE profile_id = ? AND seq BETWEEN ? AND ?)",
                    (emt, profile_id, *each),
                ).rowcount
                for each in ranges
            )
