"""Configuration files of GWA and aEMT: paths, limits, and what a mistake is answered with."""

from pathlib import Path

import pytest

from clsbench.emt.config import EmtConfig
from clsbench.errors import BadInput
from clsbench.gwa.config import GwaConfig
from clsbench.roleconfig import load_config

EMT = """
[emt]
name = "flexmarkt"
state_dir = "state"
event_log = "events.jsonl"
operator_socket = "op"
[pki]
dir = "/pki"
[gwa]
name = "gwa-test"
service_port = 4443
[[cls]]
cls_id = "ETST0020000017"
smgw_id = "ETST0010000001"
key_file = "device.key"
taf_profile = "taf16-1"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "role.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(short_folder):
    config = load_config(written(short_folder, EMT), EmtConfig)
    assert config.emt.state_dir == short_folder / "state"
    assert config.emt.event_log == str(short_folder / "events.jsonl")
    assert config.emt.operator_socket == str(short_folder / "op")
    assert config.pki.dir == Path("/pki")
    assert config.cls[0].key_file == short_folder / "device.key"


def test_what_is_left_out_has_its_default(tmp_path):
    text = '[gwa]\nname = "gwa-test"\nstate_dir = "s"\n[pki]\ndir = "p"\n'
    config = load_config(written(tmp_path, text), GwaConfig)
    assert (config.service.host, config.service.port) == ("127.0.0.1", 0)
    assert config.gwa.event_log == "" and config.smgw == [] and config.emt == []


def test_emt_and_smgw_tables_decide_who_may(tmp_path):
    text = (
        '[gwa]\nname = "g"\nstate_dir = "s"\n[pki]\ndir = "p"\n'
        '[[smgw]]\nid = "ETST0010000001"\n'
        '[[emt]]\nname = "flexmarkt"\nsmgw_ids = ["ETST0010000001"]\n'
    )
    config = load_config(written(tmp_path, text), GwaConfig)
    assert config.administers("ETST0010000001") and not config.administers("ETST0010000002")
    assert config.allows("flexmarkt", "ETST0010000001")
    assert not config.allows("flexmarkt", "ETST0010000002")
    assert not config.allows("andere", "ETST0010000001")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"op"', '"' + "o" * 120 + '"', "emt.operator_socket.*give a shorter path"),
        ('"op"', '""', "emt.operator_socket"),
        ("4443", "0", "gwa.service_port"),
        ("4443", '"4443x"', "gwa.service_port"),
        ('"ETST0020000017"', '"ETST"', r"cls\.0\.cls_id"),
        ("taf_profile", "tariff", r"cls\.0\.tariff is not known"),
    ],
)
def test_a_mistake_names_file_and_key(tmp_path, old, new, message):
    path = written(tmp_path, EMT.replace(old, new))
    with pytest.raises(BadInput, match=message) as caught:
        load_config(path, EmtConfig)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"none\.toml: cannot be read"):
        load_config(tmp_path / "none.toml", GwaConfig)


@pytest.fixture
def short_folder(tmp_path_factory):
    """The socket's path must fit even where pytest's own folder is deep."""
    return tmp_path_factory.mktemp("c").resolve()
