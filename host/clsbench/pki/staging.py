"""Several files of a folder change together: laid down beside, taken in force by one rename.

What was laid down whole is moved in file by file; whoever is cut off in between is followed by
`finish_renewal`, so that a certificate and its key never stay apart. What was not yet whole is
thrown away by `recover`, and the folder is as it was.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from clsbench.pki import files

RENEWAL = ".renewal"


@contextlib.contextmanager
def renewal(folder: Path) -> Iterator[Path]:
    """A folder to write files into; at the end of the block they replace those of `folder`.

    When the block raises, nothing has changed.
    """
    finish_renewal(folder)
    staged = folder / f"{RENEWAL}.{secrets.token_hex(8)}"
    files.make_directory(staged)
    try:
        yield staged
        _sync(staged)
        staged.rename(folder / RENEWAL)
        _sync(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    finish_renewal(folder)


def finish_renewal(folder: Path) -> bool:
    """Moves in what a renewal has laid down; True when there was something."""
    staged = folder / RENEWAL
    if not staged.is_dir():
        return False
    for path in sorted(staged.iterdir()):
        path.replace(folder / path.name)
    staged.rmdir()
    return True


def recover(folder: Path) -> None:
    """What the owner of `folder` does when it starts: ends a renewal that was whole, and throws
    away one that was not, keys first of all."""
    finish_renewal(folder)
    for left in folder.glob(f"{RENEWAL}.*"):
        shutil.rmtree(left, ignore_errors=True)


def _sync(folder: Path) -> None:
    """The names in a folder are on the disk when this returns."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
