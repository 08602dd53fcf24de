"""The folder of a PKI as a whole: where one may be made, and how it appears in one step."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clsbench.errors import BadInput
from clsbench.pki import files

_OWN_FILES = {
    *("root.crt.pem", "root.key.pem", "sub.crt.pem", "sub.key.pem", "wan-trust.pem"),
    *("wan-crl.pem", "gwa", "smgw", "han"),
}
_EMT = "emt-"
_CLS = "cls-"
EMT = "emt-"
CLS = "cls-"
PERSON_ROLES = ("con", "srv")  # final consumer, service technician
PREFIXES = (EMT, CLS, *(f"{role}-" for role in PERSON_ROLES))


def check_target(target: Path, overwrite: bool) -> None:
    """Raises BadInput unless a PKI may be made at `target`."""
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir() or target.is_symlink():
        raise BadInput(f"{target}: exists and is no directory. Choose another with --out")
    names = {path.name for path in target.iterdir()}
    strange = sorted(n for n in names - _OWN_FILES if not n.startswith(PREFIXES))
    if strange:
        raise BadInput(
            f"{target}: holds '{strange[0]}', which no PKI has. Choose an empty directory"
        )
    if names and not overwrite:
        raise BadInput(
            f"{target}: holds a PKI already. Keep it, choose another directory, or replace it "
            "and all its keys with --overwrite"
        )


@contextmanager
def appearing_at(target: Path) -> Iterator[Path]:
    """A new directory beside `target`, which takes its place when the body has succeeded."""
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    old = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    files.make_directory(made)
    try:
        yield made
        if target.exists():
            target.rename(old)
        made.rename(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
