"""The demo's folder: new on each run, never over others' files, keys for the owner only."""

import os
import stat
from pathlib import Path

import pytest

from clsbench.demo.workspace import Workspace
from clsbench.errors import BadInput, EnvironmentProblem


def content(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_made_with_those_above_it(tmp_path):
    out = tmp_path / "a" / "b"
    space = Workspace.prepare(out)
    assert (space.out, space.work) == (out, out / "parts")
    assert space.events == out / "events.jsonl" and not space.events.exists()
    assert content(out) == [".clsbench-demo", "parts"]


def test_paths_are_absolute_wherever_the_caller_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Workspace.prepare(Path("demo-out")).out == tmp_path / "demo-out"


def test_an_empty_folder_is_taken(tmp_path):
    assert Workspace.prepare(tmp_path).out == tmp_path


def test_keys_are_for_the_owner_whatever_the_umask(tmp_path):
    for mask in (0o000, 0o022, 0o077):
        before = os.umask(mask)
        try:
            space = Workspace.prepare(tmp_path / oct(mask))
        finally:
            os.umask(before)
        assert stat.S_IMODE(space.work.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["letter.txt", ".hidden", "events.jsonl"])
def test_somebody_elses_files_are_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(BadInput, match="no demo made it; name another"):
        Workspace.prepare(tmp_path)
    assert content(tmp_path) == [name] and (tmp_path / name).read_text() == "mine"


def test_what_an_earlier_demo_left_is_gone(tmp_path):
    space = Workspace.prepare(tmp_path)
    space.events.write_text("{}\n")
    (space.work / "deep").mkdir()
    (space.work / "deep" / "key").write_text("old")
    (tmp_path / "result.json").write_text("{}")
    Workspace.prepare(tmp_path)
    assert content(tmp_path) == [".clsbench-demo", "parts"] and content(space.work) == []


def test_what_a_link_inside_points_to_is_left_alone(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "letter.txt").write_text("mine")
    out = Workspace.prepare(tmp_path / "out").out
    (out / "folder").symlink_to(elsewhere)
    (out / "file").symlink_to(elsewhere / "letter.txt")
    Workspace.prepare(out)
    assert content(out) == [".clsbench-demo", "parts"] and content(elsewhere) == ["letter.txt"]


def test_a_folder_that_cannot_be_removed_itself_is_emptied(tmp_path):
    """A link here; a mounted volume likewise."""
    place, link = tmp_path / "place", tmp_path / "link"
    place.mkdir()
    link.symlink_to(place)
    for _ in range(2):
        space = Workspace.prepare(link)
        assert link.is_symlink() and space.out == place
        (place / "result.json").write_text("{}")


def test_a_run_cut_while_emptying_leaves_a_demos_folder(tmp_path, monkeypatch):
    Workspace.prepare(tmp_path)
    (tmp_path / "result.json").write_text("{}")

    def cut(path):
        raise OSError("cut")

    monkeypatch.setattr("clsbench.demo.workspace.shutil.rmtree", cut)
    with pytest.raises(EnvironmentProblem, match="cannot be written: cut"):
        Workspace.prepare(tmp_path)
    monkeypatch.undo()
    assert Workspace.prepare(tmp_path).out == tmp_path


def test_a_file_in_the_way_is_named_and_kept(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below"):
        with pytest.raises(EnvironmentProblem, match=f"--out {out}: cannot be written"):
            Workspace.prepare(out)
    assert file.read_text() == "mine"
