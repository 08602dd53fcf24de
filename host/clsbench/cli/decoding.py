"""What the commands of `clsbench decode` share: where the decoder runs, how their JSON looks."""

import json
from typing import Any

import click

interpreter_option = click.option(
    "--on",
    "interpreter",
    type=click.Choice(["cpython", "micropython"]),
    default="cpython",
    show_default=True,
    help="Interpreter the decoder runs in.",
)


def print_documents(documents: list[dict[str, Any]]) -> None:
    """One document as it is, without its "file"; several as a list."""
    alone = {key: value for key, value in documents[0].items() if key != "file"}
    print(json.dumps(documents if len(documents) > 1 else alone, sort_keys=True))
