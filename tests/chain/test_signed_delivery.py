"""A device that signs: its records reach the aEMT in their signatures, seal and chain as ever."""

import pytest
from chains import running
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.bench.chain import ChainOptions
from clsbench.device.provision import public_key_file
from clsbench.device.records import check_chain, open_record
from clsbench.device.signed import SignatureBroken, check_signature, read_public_key, unwrap
from clsbench.device.verify import DEVICE, verify_items
from clsbench.device.verify_store import database_items


def no_cms(der):
    raise AssertionError("no gateway record was given")


async def test_signed_records_are_delivered_and_their_signatures_hold(tmp_path):
    async with running(tmp_path, ChainOptions(heap="288k", device={"sign": 1})) as run:
        chain = run.chain
        await run.transaction()
        held = [
            bytes.fromhex(record["sealed"]) for record in await chain.operator.device_records()
        ]
        public = read_public_key(public_key_file(chain.key_file))
        stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
        device = {record.seq: record.sealed for record in await run.observer.collect()}
        opened = [open_record(signed, chain.key_file.read_bytes()) for signed in held]
        assert {r.event for r in opened} >= {"boot", "begin", "end"} and check_chain(opened) == []
        for signed, record in zip(held, opened, strict=True):
            check_signature(signed, public)
            assert unwrap(signed) == device[record.seq] != signed
            with pytest.raises(SignatureBroken, match="another key"):
                check_signature(signed, stranger)
            with pytest.raises(SignatureBroken, match="no signature"):
                check_signature(device[record.seq], public)
        (store,) = tmp_path.rglob("emt.sqlite")
        mine = [g for g in database_items(str(store)) if g[0].kind == DEVICE]
        keys = [chain.key_file.read_bytes()]
        verdict = verify_items(mine, keys, no_cms, running=True, signers=[public])
        assert verdict.ok and len(mine[0]) == verdict.series[0].records >= len(held)
        others = verify_items(mine, keys, no_cms, running=True, signers=[stranger])
        assert {finding.kind for finding in others.found} == {"signature"}
        status = await run.ready()
        assert not any(status["restarts"].values())
