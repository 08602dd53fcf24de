"""What passes through the gateway between market participant and control box, on SQLite.

Commands and their answers one way, sealed records of the control box the other. Same file,
same rules as `store`: committed when a method returns. Opens no sealed record.
"""

import json
from dataclasses import asdict, dataclass

from clsbench.smgw.core.commands import Answer, Command
from clsbench.smgw.store import Store, transaction

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

    acknowledged: the highest seq up to which none is missing, counted from the first one
    ever held; beyond: [first, last] of each further run.
    """

    acknowledged: int
    beyond: tuple[tuple[int, int], ...] = ()


class SealConflict(Exception):
    """A sequence number of a control box came again with other bytes; the text names it."""


class Exchange:
    """Commands and sealed records in the database of `store`."""

    def __init__(self, store: Store):
        self._db = store.database

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
                " WHERE state = 'expired' AND command = excluded.command",
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
        self, cls_id: str, records: list[tuple[int, bytes]], at_ms: int
    ) -> tuple[Holding, list[int]]:
        """Stores (seq, sealed bytes), all or none; returns what is held and which are new.

        A record that is here already is no error. Raises SealConflict when its bytes differ.
        """
        new: list[int] = []
        with transaction(self._db):
            for seq, sealed in records:
                row = self._db.execute(
                    "SELECT sealed FROM device_records WHERE cls_id = ? AND seq = ?", (cls_id, seq)
                ).fetchone()
                if row is None:
                    self._db.execute(
                        "INSERT INTO device_records VALUES (?, ?, ?, ?)",
                        (cls_id, seq, sealed, at_ms),
                    )
                    new.append(seq)
                elif row[0] != sealed:
                    raise SealConflict(f"record {seq} of {cls_id} is here with other bytes")
        return self.holding(cls_id), new

    def holding(self, cls_id: str) -> Holding:
        """Which records of a control box are here."""
        runs = self._db.execute(
            "SELECT min(seq), max(seq) FROM (SELECT seq, seq - row_number() OVER (ORDER BY seq)"
            " AS run FROM device_records WHERE cls_id = ?) GROUP BY run ORDER BY 1",
            (cls_id,),
        ).fetchall()
        if not runs:
            return Holding(0)
        return Holding(runs[0][1], tuple((first, last) for first, last in runs[1:]))

    def unforwarded(
        self, emt: str, cls_id: str, after_seq: int, limit: int
    ) -> list[tuple[int, bytes]]:
        """The records of a control box that a market participant lacks, oldest first.

        after_seq: only those with a higher number (0: all).
        """
        return self._db.execute(
            "SELECT seq, sealed FROM device_records r WHERE cls_id = ?1 AND NOT EXISTS"
            " (SELECT 1 FROM device_deliveries d WHERE d.emt = ?2 AND d.cls_id = ?1"
            " AND d.seq = r.seq) AND seq > ?3 ORDER BY seq LIMIT ?4",
            (cls_id, emt, after_seq, limit),
        ).fetchall()

    def forwarded(self, emt: str, cls_id: str, seqs: list[int], at_ms: int) -> None:
        """Notes the acknowledgement of records of a control box."""
        with transaction(self._db):
            self._db.executemany(
                "INSERT OR IGNORE INTO device_deliveries VALUES (?, ?, ?, ?)",
                [(emt, cls_id, seq, at_ms) for seq in seqs],
            )
