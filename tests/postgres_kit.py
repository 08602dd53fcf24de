"""A PostgreSQL server for the tests alone: in a folder of its own, on a socket in it, by password.

PostgreSQL does not run as root; there the server runs as `nobody`.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

OWNER = "nobody"


def programs() -> Path | None:
    """The folder of initdb and postgres, of the newest version that is here."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in installed), key=_version, default=None)


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def lacking() -> str | None:
    """Why no test can run on PostgreSQL here, or None."""
    if programs() is None:
        return "no PostgreSQL server is installed (initdb not found)"
    return None if find_spec("psycopg") else "the package psycopg is not installed"


class Server:
    """A running server. Its password is in `password`, for PGPASSWORD."""

    def __init__(self, folder: Path, programs: Path):
        self._folder, self._programs = folder, programs
        self._used = 0
        self.password = secrets.token_urlsafe(12)

    def create(self) -> None:
        secret = self._folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        for path in (self._folder, secret) if os.getuid() == 0 else ():
            shutil.chown(path, OWNER, -1)
        self._run("initdb", "-A", "scram-sha-256", f"--pwfile={secret}", "-U", "smgw",
                  "-E", "UTF8", "--locale=C", "--no-sync")  # fmt: skip
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o",
                  f"-k {self._folder} -c listen_addresses=''", "start")  # fmt: skip

    def stop(self, mode: str) -> None:
        """mode: "fast", or "immediate", which is a crash."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def new_state(self) -> str:
        """The URL of an empty schema."""
        import psycopg  # noqa: PLC0415  an extra

        self._used += 1
        name = f"test_{self._used}"
        at = f"postgresql://smgw@/postgres?host={self._folder}"
        with psycopg.connect(at, autocommit=True) as session:
            session.execute(f"CREATE SCHEMA {name}".encode())
        return f"{at}&options=-csearch_path%3D{name}"

    def _run(self, program: str, *arguments: str) -> None:
        as_owner: dict[str, Any] = {}
        if os.getuid() == 0:
            as_owner = {"user": OWNER, "extra_groups": []}
        subprocess.run(
            [self._programs / program, "-D", self._folder / "data", *arguments],
            cwd=self._folder,
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
            **as_owner,
        )


@contextmanager
def server() -> Iterator[Server]:
    """A server as long as the block lasts; `lacking` is to be asked before."""
    found = programs()
    assert found is not None
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    running = Server(folder, found)
    try:
        running.create()
        try:
            yield running
        finally:
            running.stop("immediate")
    finally:
        shutil.rmtree(folder)
