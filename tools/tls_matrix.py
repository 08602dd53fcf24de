"""The TLS matrix as a table: checks or writes its part of docs/tls.md, and runs it in full.

    python tools/tls_matrix.py             exit 1 when docs/tls.md is not what the matrix says
    python tools/tls_matrix.py --write     writes it there
    python tools/tls_matrix.py --run       tries every row, with this Python's OpenSSL and with a
                                           newer one where there is one

The newer one is that of psycopg's wheel, loaded in the place of the system's: the brainpool curves
of TLS 1.3 (RFC 8734) need OpenSSL 3.2. Its rows are left out where there is none (Linux alone).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "chain"))

import matrix_answers as answers  # noqa: E402  # pyright: ignore[reportMissingImports]
import matrix_table as table  # noqa: E402  # pyright: ignore[reportMissingImports]

DOC = ROOT / "docs" / "tls.md"
BEGIN, END = "<!-- matrix: begin -->\n", "<!-- matrix: end -->\n"
TEST = "tests/chain/test_tls_matrix.py"


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--run", action="store_true")
    wanted = parser.parse_args()
    if wanted.run:
        return run()
    old = DOC.read_text()
    new = with_table(old)
    if wanted.write:
        DOC.write_text(new)
    elif new != old:
        print(f"{DOC}: not what the matrix says. Run: python tools/tls_matrix.py --write")
        return 1
    return 0


def with_table(text: str) -> str:
    """The document with the tables of now."""
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return head + BEGIN + "\n".join(tables()) + "\n" + END + tail


def tables() -> Iterator[str]:
    """Lines of Markdown."""
    yield "\n### Refused from clients, at every port\n"
    yield from _rows((*table.FROM_CLIENTS, *table.CERTIFICATES_OF_CLIENTS, *table.LISTS))
    yield "\n### Refused from servers, by every client\n"
    lists = tuple(table.LISTS)
    yield from _rows(
        (*answers.FROM_SERVERS, *answers.LITE_SERVERS, *table.CERTIFICATES_OF_SERVERS, *lists)
    )
    yield "\n### Accepted\n"
    yield "| version | suites | curves of the WAN | curves of the HAN |\n| --- | --- | --- | --- |"
    wan, han = (", ".join(table.GROUPS[each]) for each in (table.WAN_ONLY, table.HAN_ONLY))
    yield f"| TLS 1.2 | {', '.join(table.LITE_SUITES_12)} | {wan} | {han} |"
    wan, han = (_of_13(table.GROUPS[each]) for each in (table.WAN_ONLY, table.HAN_ONLY))
    yield f"| TLS 1.3 | {', '.join(table.LITE_SUITES_13)} | {wan} | {han} |"


def _of_13(groups: tuple[str, ...]) -> str:
    return ", ".join(f"{name}tls13" if "brainpool" in name else name for name in groups)


def _rows(rows: tuple[table.Row, ...]) -> Iterator[str]:
    yield "| what | how | where | the log says |\n| --- | --- | --- | --- |"
    for row in rows:
        where = row.networks + (", TLS 1.3" if row.needs_13 else "")
        reason = f"`{row.reason.strip()}`" if row.reason else "who it is, and why not"
        yield f"| {row.kind} | {row.text} | {where} | {reason} |"


def run() -> int:
    """Every row with each OpenSSL that can be had; the worst exit code."""
    worst = _try({})
    with tempfile.TemporaryDirectory(prefix="openssl-") as folder:
        if newer := _newer_openssl(Path(folder)):
            worst = max(worst, _try({"LD_LIBRARY_PATH": newer}))
        else:
            print("no newer OpenSSL: the brainpool curves of TLS 1.3 were not tried")
    return worst


def _try(more: dict[str, str]) -> int:
    environment = os.environ | more
    told = "import ssl; print(ssl.OPENSSL_VERSION, flush=True)"
    subprocess.run([sys.executable, "-c", told], env=environment, check=True)
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", TEST]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


def _newer_openssl(folder: Path) -> str:
    """A folder whose libraries stand before the system's, "" without them."""
    for name in ("libssl", "libcrypto"):
        found = sorted(
            Path(sys.prefix).glob(f"lib/python3*/site-packages/psycopg_binary.libs/{name}-*")
        )
        if not found:
            return ""
        (folder / f"{name}.so.3").symlink_to(found[0])
    return str(folder)


if __name__ == "__main__":
    sys.exit(main())
