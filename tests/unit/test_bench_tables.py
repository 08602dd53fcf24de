"""Sections of the performance document: each benchmark replaces its own and no other's."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "tools" / "bench" / "tables.py"
SPEC = importlib.util.spec_from_file_location("bench_tables", PATH)
assert SPEC is not None and SPEC.loader is not None
tables = sys.modules["bench_tables"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tables)

TWO = "# Top\n\n<!-- a -->\nold a\n<!-- /a -->\nbetween\n<!-- b -->\nold b\n<!-- /b -->\nend\n"


def test_only_the_named_section_changes(tmp_path: Path):
    document = tmp_path / "performance.md"
    document.write_text(TWO)
    tables.replace_section("a", "new a", document)
    assert document.read_text() == TWO.replace("\nold a\n", "\n\nnew a\n\n")
    tables.replace_section("a", "newer a", document)
    assert document.read_text() == TWO.replace("\nold a\n", "\n\nnewer a\n\n")


@pytest.mark.parametrize(
    "text", ["no markers\n", TWO + TWO, "<!-- /a -->\n<!-- a -->\n", "<!-- a -->\n"]
)
def test_a_document_without_the_markers_is_refused_and_kept(tmp_path: Path, text: str):
    document = tmp_path / "performance.md"
    document.write_text(text)
    with pytest.raises(ValueError, match="markers"):
        tables.replace_section("a", "new", document)
    assert document.read_text() == text


def test_the_document_has_a_section_for_every_benchmark():
    text = ROOT.joinpath("docs", "performance.md").read_text(encoding="utf-8")
    for name in ("modbus", "meter-server", "sml", "mbus", "record"):
        assert text.count(f"<!-- {name} -->\n") == text.count(f"<!-- /{name} -->\n") == 1


def test_a_missed_bar_is_told_and_makes_the_exit_code(capsys: pytest.CaptureFixture[str]):
    report = tables.Report()
    report.bar("B1", "size", "3 B", "4 B", True)
    assert report.finish("a", "Title", "intro", False) == 0
    report.bar("B2", "time", "9 ms", "5 ms", False)
    assert report.finish("a", "Title", "intro", False) == 1
    told = capsys.readouterr()
    assert "| B2 | time | 9 ms | 5 ms | **MISSED** |" in told.out
    assert "bench: missed B2: time: 9 ms (limit 5 ms)" in told.err


def test_a_table_has_a_cell_for_every_column():
    assert tables.table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
