"""How `clsbench emt` asks a running EMT: options and the way to its operator socket."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import click

from clsbench.emt.operator import OperatorClient

socket_option = click.option("--socket", required=True, help="The EMT's operator socket.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def ask(socket: str, question: Callable[[OperatorClient], Awaitable[Any]]) -> Any:
    """The answer of a running EMT. Raises what `OperatorClient` raises."""

    async def asked() -> Any:
        async with OperatorClient(socket) as operator:
            return await question(operator)

    return asyncio.run(asked())
