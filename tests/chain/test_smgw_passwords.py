"""Passwords that the administrator puts: they open the HAN, and nothing keeps them in clear."""

import json
import sqlite3
from dataclasses import asdict
from pathlib import Path

import aiohttp
import pytest
from smgw_bench import running

from clsbench.errors import BadInput
from clsbench.smgw.administered import Administered, read_order
from clsbench.smgw.han.digest import ha1_of
from clsbench.smgw.schema import FILE_NAME, open_database
from clsbench.smgw.store import Store

LOGIN, PASSWORD = "heidi", "a-password-nobody-must-find"
GWA, SMGW = "gwa-test", "ETST0010000001"
CONSUMER = {"name": "consumer1", "login": LOGIN}
# somebody has a log-in from the start, else the HAN asks everybody for a certificate
CONFIGURED = [{"name": "consumer1", "login": "other", "password": "x"}]


async def order(bench, section, kind="consumer"):
    made = read_order({kind: [section]}, [])
    return await bench.gateway.administration.order(made, GWA)


async def status(bench, password=PASSWORD) -> int:
    """What the HAN answers to this log-in."""
    digest = aiohttp.DigestAuthMiddleware(LOGIN, password)
    async with aiohttp.ClientSession(middlewares=(digest,)) as session:
        url = f"https://127.0.0.1:{bench.port}/smgw/con/v1/rts/"
        async with session.get(url, ssl=False) as answer:
            return answer.status


def holding(folder: Path, text: str) -> list[str]:
    """Files below a folder that hold this text."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path.name for path in files if text.encode() in path.read_bytes()]


def kept(folder: Path) -> dict:
    with sqlite3.connect(folder / "smgw" / FILE_NAME) as database:
        rows = database.execute(
            "SELECT name, content FROM administered WHERE content IS NOT NULL"
        ).fetchall()
    return {name: json.loads(text) for name, text in rows}


async def test_a_password_opens_the_han_and_lies_nowhere(pki, tmp_path):
    async with running(pki, tmp_path, consumer=CONFIGURED) as bench:
        await order(bench, CONSUMER | {"password": PASSWORD})
        assert [await status(bench), await status(bench, "another")] == [200, 401]
        assert holding(tmp_path, PASSWORD) == []
    assert kept(tmp_path)["consumer1"] == CONSUMER | {
        "ha1": asdict(ha1_of(LOGIN, SMGW.lower(), PASSWORD))
    }
    async with running(pki, tmp_path, consumer=CONFIGURED) as bench:
        assert await status(bench) == 200
        await order(bench, CONSUMER | {"password": "changed"})
        assert [await status(bench), await status(bench, "changed")] == [401, 200]
    assert holding(tmp_path, PASSWORD) == []


async def test_the_hash_may_be_put_in_place_of_the_password(pki, tmp_path):
    known = {"sha256": ha1_of(LOGIN, SMGW.lower(), PASSWORD).sha256}
    async with running(pki, tmp_path, consumer=CONFIGURED) as bench:
        await order(bench, CONSUMER | {"ha1": known})
        assert await status(bench) == 200
        with pytest.raises(BadInput, match="in place of password"):
            await order(bench, CONSUMER | {"ha1": known, "password": PASSWORD})
        with pytest.raises(BadInput, match="sha256"):
            await order(bench, CONSUMER | {"ha1": {"sha256": PASSWORD}})


def old_store(folder: Path) -> None:
    """As an older version kept passwords, with versions before them still between its pages."""
    folder.mkdir(mode=0o700)
    database = open_database(folder / FILE_NAME)
    for number in range(30):
        for name in ("consumer1", "consumer2"):
            section = CONSUMER | {"name": name, "password": f"{PASSWORD}{'x' * number}"}
            section |= {"login": LOGIN} if name == "consumer1" else {"login": "peter"}
            Administered(database).save({("consumer", name): section}, [("consumer", name)], 0)
    section = CONSUMER | {"password": PASSWORD}
    Administered(database).save(
        {("consumer", "consumer1"): section}, [("consumer", "consumer1")], 0
    )
    Administered(database).save({("taf", "gone"): None}, [("taf", "gone")], 0)
    database.close()


async def test_the_store_of_an_older_version_forgets_its_passwords(pki, tmp_path):
    old_store(tmp_path / "smgw")
    assert holding(tmp_path, PASSWORD) == [FILE_NAME]
    async with running(pki, tmp_path, consumer=CONFIGURED) as bench:
        assert holding(tmp_path, PASSWORD) == []
        assert await status(bench) == 200
    assert "password" not in kept(tmp_path)["consumer1"] | kept(tmp_path)["consumer2"]
    assert holding(tmp_path, PASSWORD) == []


def test_passwords_are_forgotten_in_either_kind_of_store(state):
    store = Store(state)
    administered = Administered(store.database)
    section = {"name": "bob", "login": "bob", "password": PASSWORD}
    administered.save({("service", "bob"): section}, [("service", "bob")], 0)
    file = {"name": "eve", "login": "eve", "password": PASSWORD, "password_file": "eve.txt"}
    administered.save({("consumer", "eve"): file}, [("consumer", "eve")], 0)
    administered.forget_passwords(SMGW)
    assert administered.load() == {
        ("service", "bob"): {
            "name": "bob",
            "login": "bob",
            "ha1": asdict(ha1_of("bob", SMGW.lower(), PASSWORD)),
        },
        ("consumer", "eve"): {"name": "eve", "login": "eve", "password_file": "eve.txt"},
    }
    assert store.database.execute("SELECT count(*) FROM facts").fetchone()[0] == 0
    store.close()


def test_forgetting_that_was_cut_off_is_ended_the_next_time(tmp_path):
    old_store(tmp_path / "smgw")
    path = tmp_path / "smgw" / FILE_NAME
    database, reader = open_database(path), sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA busy_timeout = 20")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM administered").fetchone()  # keeps the old pages alive
    administered = Administered(database)
    administered.forget_passwords(SMGW)
    section = administered.load()["consumer", "consumer1"]
    assert section == CONSUMER | {"ha1": asdict(ha1_of(LOGIN, SMGW.lower(), PASSWORD))}
    assert holding(tmp_path, PASSWORD)
    reader.close()
    administered.forget_passwords(SMGW)
    assert holding(tmp_path, PASSWORD) == []
    assert administered.load()["consumer", "consumer1"] == section
    assert database.execute("SELECT count(*) FROM facts").fetchone() == (0,)
    database.close()
