"""Tables, bars and verdicts of the benchmarks, and the marked sections of docs/performance.md.

Every benchmark owns one section there, between `<!-- NAME -->` and `<!-- /NAME -->`, and writes
nothing else. Knows nothing of what is measured.
"""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "performance.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """What absolute figures were measured on, in half a sentence."""
    return (
        f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores, "
        f"CPython {platform.python_version()}"
    )


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


@dataclass
class Report:
    """The text of one section, and the bars that it was measured against."""

    parts: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    _bars: list[list[str]] = field(default_factory=list)

    def add(self, *parts: str) -> None:
        """Paragraphs, headings and tables, in order."""
        self.parts += parts

    def bar(self, name: str, what: str, measured: str, limit: str, met: bool) -> None:
        """A bar with its verdict; it is told at once on stderr and again in the section."""
        verdict = "holds" if met else "MISSED"
        self._bars.append([name, what, measured, limit, verdict if met else f"**{verdict}**"])
        line = f"{name}: {what}: {measured} (limit {limit})"
        print(f"bench: {verdict:6} {line}", file=sys.stderr, flush=True)
        if not met:
            self.missed.append(line)

    def finish(self, section: str, title: str, intro: str, write: bool) -> int:
        """Prints the section and, with `write`, puts it into docs/performance.md.

        Returns the exit code: 0, or 1 when a bar was missed.
        """
        bars = table(["bar", "what", "measured", "limit", "verdict"], self._bars)
        text = "\n\n".join([f"## {title}", intro, bars, *self.parts])
        print(text)
        if write:
            replace_section(section, text)
        for line in self.missed:
            print(f"bench: missed {line}", file=sys.stderr)
        return 1 if self.missed else 0


def replace_section(name: str, text: str, document: Path = DOCUMENT) -> None:
    """Puts `text` between the markers of section `name`, and leaves every other line as it is.

    Raises ValueError when the document does not have both markers exactly once, in order.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    old = document.read_text(encoding="utf-8")
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(begin) > old.index(end):
        raise ValueError(f"{document}: markers {begin.strip()} and {end.strip()} are wanted once")
    head, tail = old[: old.index(begin) + len(begin)], old[old.index(end) :]
    new = document.with_suffix(".new")
    new.write_text(f"{head}\n{text.strip()}\n\n{tail}", encoding="utf-8")
    new.replace(document)
