"""`clsbench settle`: energy per transaction, per quarter hour and per balance group."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clsbench.cli.settle_sources import Choices, apply_choices, read_file
from clsbench.errors import BadInput
from clsbench.settlement.core import settle as settle_document

_PATH = click.Path(path_type=Path)


class _FileFirst(click.Group):
    """`settle FILE` is `settle run FILE`: what is no command here is taken for a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what is settled and how, shared by the commands."""
    for option in reversed(
        [
            click.option("--from", "from_text", metavar="INSTANT", help="Begin of the window."),
            click.option("--to", "to_text", metavar="INSTANT", help="End of the window."),
            click.option(
                "--groups", type=_PATH, metavar="FILE", help="rest, delta, by_uuid; JSON or TOML."
            ),
            click.option(
                "--policy", "policies", multiple=True, metavar="K=V", help="substitute=linear, ..."
            ),
        ]
    ):
        command = option(command)
    return command


def load(
    path: Path | None,
    from_text: str | None,
    to_text: str | None,
    groups: Path | None,
    policies: tuple[str, ...],
) -> dict[str, Any]:
    """The input document that the options name. Raises BadInput."""
    if path is None:
        raise BadInput("settle: name a FILE, or a data base with --db URL")
    return apply_choices(read_file(path), Choices(from_text, to_text, groups, policies))


@click.group(cls=_FileFirst)
def settle() -> None:
    """Settles quarter hours and transactions, exact to the last digit.

    \b
    clsbench settle FILE           settle a document, a CSV or an XML export
    clsbench settle --help         the commands around it
    """


@settle.command()
@click.argument("path", type=_PATH, metavar="FILE", required=False)
@source_options
@click.option("--json", "as_json", is_flag=True, help="Print the result document.")
def run(path: Path | None, as_json: bool, **options: Any) -> int:
    """Settle FILE and print the result; exit code 1 with any doubt.

    FILE: a settlement document (JSON), readings and events (CSV, Parquet), or an AR 2418-6 XML.
    """
    document = load(path, **options)
    result = settle_document(document)
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    return 1 if result["findings"] else 0
