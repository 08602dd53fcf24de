"""The gateway's database: its tables, their versions, and how it is opened.

One process writes (a lock sees to it), and a commit returns only after the data is on the disk.
A later version appends a script to MIGRATIONS and changes none; PostgreSQL gets the same scripts
by `Postgres.migrate`.
"""

import fcntl
import os
import sqlite3
from pathlib import Path

from clsbench.errors import EnvironmentProblem
from clsbench.store.database import Database, DatabaseFailure, Postgres

FILE_NAME = "smgw.sqlite"
LOCK_NAME = "smgw.lock"

State = Path | str  # a folder (SQLite), or the URL of a PostgreSQL database

_VERSION_1 = """
CREATE TABLE sequences (          -- the last number given out; never goes back
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE facts (              -- single values the gateway remembers
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE original_readings (
    id INTEGER PRIMARY KEY,
    meter TEXT NOT NULL,          -- as the meter profile names it
    meter_id TEXT NOT NULL,
    captured_ms INTEGER NOT NULL,
    meter_word INTEGER NOT NULL,
    reading TEXT NOT NULL,        -- JSON list of values
    telegram BLOB NOT NULL
) STRICT;
CREATE INDEX original_readings_by_time ON original_readings (meter, captured_ms);

CREATE TABLE gateway_records (
    id INTEGER PRIMARY KEY,
    profile_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    uuid TEXT,
    event TEXT,
    due_ms INTEGER,
    captured_ms INTEGER,
    content BLOB NOT NULL,
    cms BLOB NOT NULL,
    UNIQUE (profile_id, seq),
    UNIQUE (profile_id, uuid, event),
    UNIQUE (profile_id, due_ms)
) STRICT;

CREATE TABLE deliveries (         -- which market participant gets which gateway record
    record_id INTEGER NOT NULL REFERENCES gateway_records (id),
    emt TEXT NOT NULL,
    delivered_ms INTEGER,
    PRIMARY KEY (record_id, emt)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_open ON deliveries (emt, record_id) WHERE delivered_ms IS NULL;

CREATE TABLE events (             -- announced and recorded
    uuid TEXT NOT NULL,
    event TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    source TEXT NOT NULL,
    announced_ms INTEGER NOT NULL,
    PRIMARY KEY (uuid, event)
) STRICT, WITHOUT ROWID;

CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    command TEXT NOT NULL,        -- JSON, as received
    state TEXT NOT NULL CHECK (state IN ('open', 'answered', 'expired')),
    answer TEXT,                  -- JSON
    received_ms INTEGER NOT NULL,
    answered_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE device_records (     -- sealed by the control box, passed on unopened
    cls_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (cls_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE device_deliveries (
    emt TEXT NOT NULL,
    cls_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    delivered_ms INTEGER NOT NULL,
    PRIMARY KEY (emt, cls_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE logs (
    log TEXT NOT NULL,            -- system, calibration, or consumer/<final consumer>
    number INTEGER NOT NULL,
    t_ms INTEGER NOT NULL,
    level TEXT NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL,
    subject TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (log, number)
) STRICT, WITHOUT ROWID;
"""

_VERSION_2 = """
CREATE TABLE originals (          -- registers at due times and events: what tariffs count with
    id INTEGER PRIMARY KEY,
    meter TEXT NOT NULL,          -- as the meter profile names it
    meter_id TEXT NOT NULL,
    obis TEXT NOT NULL,
    raw INTEGER,                  -- no value: a gap
    scaler INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    captured_ms INTEGER,
    due_ms INTEGER,               -- none: read for an event
    at_ms INTEGER NOT NULL,       -- its place in the list: due, else captured
    status TEXT NOT NULL,         -- 16 hex digits, bit 0 first
    ptb INTEGER NOT NULL,
    time_state TEXT NOT NULL,
    bound_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX originals_due ON originals (meter, obis, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX originals_at ON originals (meter, obis, at_ms);
CREATE INDEX originals_fine ON originals (at_ms) WHERE due_ms % 900000 != 0;

CREATE TABLE derived (            -- what evaluation profiles made of them
    profile_id TEXT NOT NULL,
    obis TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    raw INTEGER,
    scaler INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    status TEXT NOT NULL,
    ptb INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    PRIMARY KEY (profile_id, obis, end_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE profile_versions (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    content TEXT NOT NULL,        -- JSON, without secrets
    applied_ms INTEGER NOT NULL,
    archived_ms INTEGER,
    PRIMARY KEY (kind, name, version)
) STRICT, WITHOUT ROWID;

ALTER TABLE logs ADD COLUMN user TEXT NOT NULL DEFAULT '';
CREATE INDEX logs_by_time ON logs (log, t_ms);
"""

_VERSION_3 = """
CREATE INDEX originals_by_time ON originals (meter, at_ms, id);
"""

_VERSION_4 = """
CREATE TABLE administered (       -- profiles put or removed by the administrator
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT,                 -- JSON of its section; none: removed
    taken_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)


def open_state(state: State) -> tuple[Database, int | None]:
    """The state for this process alone, brought to the newest version; and the folder's lock.

    On PostgreSQL the session is the lock. Raises EnvironmentProblem.
    """
    if isinstance(state, str):
        return open_postgres(state), None
    lock = lock_state_dir(state)
    try:
        return open_database(state / FILE_NAME), lock
    except BaseException:
        os.close(lock)
        raise


def look_at(state: State) -> Database:
    """The state for looking only, beside a running gateway. Raises EnvironmentProblem."""
    if not isinstance(state, str):
        return open_read_only(state / FILE_NAME)
    database = Postgres(state, read_only=True)
    try:
        version = database.version()
        if not version:
            raise EnvironmentProblem(f"{database.name}: no tables; has a gateway ever run there?")
        _check_readable(database.name, version)
    except BaseException:
        database.close()
        raise
    return database


def is_running(state: State, database: Database) -> bool:
    """Whether a gateway writes to the state that `look_at` opened."""
    if isinstance(database, Postgres):
        return database.locked()
    return _locked(Path(state) / LOCK_NAME)


def lock_state_dir(state_dir: Path) -> int:
    """Takes the directory for this process; returns the lock's file descriptor.

    The lock ends with the process, however it ends. Raises EnvironmentProblem when another
    process holds it or the directory cannot be made.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EnvironmentProblem(f"state_dir {state_dir}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise EnvironmentProblem(
            f"state_dir {state_dir} is in use by another gateway process; "
            "stop it or choose another state_dir"
        ) from error
    return lock


def open_database(path: Path, migrations: tuple[str, ...] = MIGRATIONS) -> sqlite3.Connection:
    """The database at `path`, brought to the newest version; made when it does not exist.

    The connection is in autocommit mode: transactions are begun explicitly.
    Raises EnvironmentProblem when the file is no database or was written by a newer version.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path, migrations)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise EnvironmentProblem(f"{path}: {error}; move it away to begin anew") from error
    except EnvironmentProblem:
        connection.close()
        raise
    return connection


def open_postgres(url: str, migrations: tuple[str, ...] = MIGRATIONS) -> Postgres:
    """The database at `url`, locked and brought to the newest version.

    Raises EnvironmentProblem where it cannot be reached, is in use, or is of a newer version.
    """
    database = Postgres(url)
    try:
        database.lock()
        version = _known(database.version(), database.name, migrations)
        for number, script in enumerate(migrations[version:], version + 1):
            database.migrate(script, number)
    except DatabaseFailure as error:
        database.close()
        raise EnvironmentProblem(f"{error}; may this user create tables there?") from error
    except BaseException:
        database.close()
        raise
    return database


def open_read_only(path: Path) -> sqlite3.Connection:
    """The database at `path` for looking at it, while a gateway may be writing to it.

    Raises EnvironmentProblem when there is none or it has another version.
    """
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise EnvironmentProblem(f"{path}: {error}; has a gateway ever run there?") from error
    try:
        _check_readable(path, version)
    except EnvironmentProblem:
        connection.close()
        raise
    return connection


def _check_readable(name: object, version: int) -> None:
    if version != len(MIGRATIONS):
        raise EnvironmentProblem(
            f"{name} has schema version {version}, this program reads {len(MIGRATIONS)}; "
            "start the gateway of this version once"
        )


def _known(version: int, name: object, migrations: tuple[str, ...]) -> int:
    if version > len(migrations):
        raise EnvironmentProblem(
            f"{name} has schema version {version}, this program knows {len(migrations)}; "
            "use the newer program"
        )
    return version


def _locked(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _migrate(connection: sqlite3.Connection, path: Path, migrations: tuple[str, ...]) -> None:
    version = _known(connection.execute("PRAGMA user_version").fetchone()[0], path, migrations)
    for number, script in enumerate(migrations[version:], version + 1):
        connection.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
