"""HAN certificates of people: made, shown, and let in by their fingerprint alone."""

import json
import tomllib

import pytest
from click.testing import CliRunner
from han_kit import Client, han_config, served

from clsbench.cli.pki import pki as command
from clsbench.errors import BadInput
from clsbench.pki.layout import Pki


def run(*words):
    done = CliRunner().invoke(command, list(map(str, words)), standalone_mode=False)
    if done.exception:
        raise done.exception
    return done


@pytest.fixture
def pki(tmp_path):
    return Pki.init(tmp_path / "pki")


async def test_a_person_comes_in_by_the_printed_section_and_sees_what_the_role_may(pki, tmp_path):
    told = tomllib.loads(run("person", pki.directory, "--con", "alice", "--srv", "bob").output)
    (alice,), (bob,) = told["consumer"], told["service"]
    assert (alice["name"], bob["name"]) == ("alice", "bob")
    stranger = pki.issue_person("con", "mallory")
    made = han_config(pki, tmp_path)
    sections = {
        "consumer": [p.model_dump(exclude_unset=True) for p in made.consumer] + [alice],
        "service": [bob],
    }
    consumer, technician = pki.persons()[0], pki.persons()[2]
    async with served(han_config(pki, tmp_path, sections)) as there:

        def status(identity, path):
            return Client(there.port, login="", cert=identity).ask("GET", path).status

        assert await there.run(status, consumer, "/smgw/con/v1/rts/taf/") == 200
        assert await there.run(status, consumer, "/smgw/srv/v1/rts/meter/") == 403
        assert await there.run(status, technician, "/smgw/srv/v1/rts/meter/") == 200
        with pytest.raises(OSError):
            await there.run(status, stranger, "/smgw/con/v1/rts/taf/")


def test_show_lists_persons_and_init_takes_their_folders_for_its_own(pki):
    run("person", pki.directory, "--con", "alice", "--srv", "bob")
    shown = json.loads(run("show", pki.directory, "--json").output)["certificates"]
    assert [(c["role"], c["cn"], c["curve"]) for c in shown[-2:]] == [
        ("CON", "alice.con", "secp256r1"),
        ("SRV", "bob.srv", "secp256r1"),
    ]
    Pki.init(pki.directory, overwrite=True)
    assert Pki.open(pki.directory).persons() == []


def test_keys_are_for_the_owner_alone_and_never_replaced(pki):
    done = run("person", pki.directory, "--con", "alice", "--json")
    (made,) = json.loads(done.output)["persons"]
    assert set(made) == {"role", "name", "fingerprint", "certificate", "key"}
    key = pki.persons()[0].key
    assert (str(key), key.stat().st_mode & 0o777) == (made["key"], 0o600)
    with pytest.raises(BadInput, match="exists already"):
        run("person", pki.directory, "--con", "alice")
    with pytest.raises(BadInput, match="use letters"):
        run("person", pki.directory, "--srv", "../bob")
