"""The CLS channel from end to end: real firmware; SMGW, GWA and aEMT as processes."""

import asyncio
import ssl

import pytest
from chains import Run, events, running, until

from clsbench import steps
from clsbench.bench import channel
from clsbench.bench.chain import ChainOptions
from clsbench.net.tls import han_client
from dicamm.link import channel as device


def seven_steps(run: Run, uuid: str) -> tuple[list[int], list[int]]:
    """Numbers of a transaction's own steps, and of those that had opened its channel before."""
    found = steps.steps_of(events(run.chain))[uuid]
    assert all(step["ok"] for step in found)
    own = [step["detail"]["step"] for step in found if steps.EARLIER not in step]
    return own, [step["detail"]["step"] for step in found if steps.EARLIER in step]


async def closed_channel(run: Run) -> dict:
    """The gateway's word on the channel that has ended, with the bytes it counted."""
    return (await until(lambda: run.told("proxy.closed")))[0]["detail"]


async def test_a_box_reaches_its_aemt_by_socks_tls(tmp_path):
    async with running(tmp_path, ChainOptions(channel="cls")) as run:
        await until(lambda: run.told("cls-channel"), 90)  # a refused box waits up to 60 s
        uuid = await run.transaction()
        assert seven_steps(run, uuid) == ([1, 2, 7, 1, 2, 7], [4, 5, 6, 4, 5, 6])
        await run.delivered()
        await run.gateway_gapless()
        status = await run.ready()
        assert status["heap"]["free"] > 64 * 1024 and not sum(status["restarts"].values())
        commands = await run.chain.operator.commands()
        assert [(row["state"], row["sent"]) for row in commands] == [("answered", 1)] * 2
        assert not run.told("command.in")  # nothing of it went to the gateway as a command
        await the_gateway_comes_back_without_its_profile(run)


async def the_gateway_comes_back_without_its_profile(run: Run) -> None:
    """The box asks by a name that is none any more: reply 2, and a pause of 5 s at least."""
    run.mark()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel, "SERVER_NAME", "somebody.else")
        await run.chain.roles["smgw"].stop()
        await run.chain.start_role("smgw")
    assert (await closed_channel(run))["to_wan"] > 500
    refused = await until(lambda: run.told("proxy.refused"))
    assert "no proxy profile 'aemt.flexmarkt'" in refused[0]["detail"]["reason"]
    told = await until(lambda: run.told("device.channel_refused"))
    assert "reply 2" in told[0]["detail"]["text"]
    await asyncio.sleep(4.5)
    assert len(run.told("proxy.asked")) == 1


async def test_the_aemt_has_the_gateway_open_both_sides(tmp_path):
    async with running(tmp_path, ChainOptions(channel="emt")) as run:
        assert not run.told("proxy.asked")
        uuid = await run.transaction()
        own, earlier = seven_steps(run, uuid)
        assert own == [1, 2, 3, 4, 5, 5, 6, 7, 1, 2, 7]  # TLS to market participant and box
        assert earlier == [3, 4, 5, 5, 6]  # the end finds the channel standing
        seven = ("gwa.order.proxy", "proxy.asked", "proxy.wan", "proxy.box", "proxy.open")
        assert all(len(run.told(name)) == 1 for name in seven)
        await only_the_gateway_is_served(run)
        await run.chain.roles["emt"].kill()
        await run.chain.start_role("emt")
        run.mark()
        await run.transaction()
        assert len(run.told("proxy.open")) == 1
        await run.delivered()


async def only_the_gateway_is_served(run: Run) -> None:
    """The gateway's certificate first, then none, then another box's, which the CA signed too."""
    chain = run.chain
    genuine = chain.pki.smgw_han
    assert await said(chain.box_port, han_client(genuine, chain.pki.han_trust)) == chain.names.cls
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(chain.pki.han_trust)
    assert await said(chain.box_port, bare) == ""
    other = chain.pki.cls(chain.names.cls)
    assert await said(chain.box_port, han_client(other, chain.pki.han_trust)) == ""
    assert await said(chain.box_port, han_client(genuine, chain.pki.han_trust)) == chain.names.cls


async def said(port: int, context: ssl.SSLContext) -> str:
    """Who the box says it is to this client; "" where it hangs up."""
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=""), 20
        )
    except OSError:
        return ""
    try:
        content = await asyncio.wait_for(device.receive(reader), 20)
        return content[7:21].decode()  # behind {0: 15, 1: 1, 2:
    except (OSError, EOFError, asyncio.IncompleteReadError):
        return ""
    finally:
        writer.close()
