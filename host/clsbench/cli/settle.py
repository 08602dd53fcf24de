"""`clsbench settle`: energy per transaction, per quarter hour and per balance group."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from clsbench.cli.settle_fleet import fleet
from clsbench.cli.settle_sources import Choices, apply_choices, read_file, write_text
from clsbench.cli.settle_sql import sql_tables
from clsbench.cli.settle_versions import keep_version, two_results
from clsbench.errors import BadInput
from clsbench.settlement.by_time import misbooked
from clsbench.settlement.core import input_of
from clsbench.settlement.core import settle as settle_document
from clsbench.settlement.csv_series import write_csv
from clsbench.settlement.difference import difference, difference_text
from clsbench.settlement.document import read_point
from clsbench.settlement.explain import explain_number, explain_text
from clsbench.settlement.picture import html_picture, svg_picture, text_picture
from clsbench.settlement.reaction import NOT as DID_NOT
from clsbench.settlement.reaction import reactions
from clsbench.settlement.sections import settle_point
from clsbench.settlement.times import format_ms
from clsbench.settlement.witnesses import FAULT
from clsbench.settlement.witnesses import compare as compare_witnesses

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
            click.option(
                "--db", "url", metavar="URL", help="Record store: sqlite:///PATH or a path."
            ),
            click.option(
                "--witness",
                type=click.Choice(["device", "gateway"]),
                default="gateway",
                show_default=True,
                help="Whose records count, with --db.",
            ),
        ]
    ):
        command = option(command)
    return command


def load(
    path: Path | None,
    *,
    url: str | None = None,
    witness: str = "gateway",
    from_text: str | None = None,
    to_text: str | None = None,
    groups: Path | None = None,
    policies: tuple[str, ...] = (),
    sources: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The input document that the options name. sources: takes the records behind its places.

    Raises BadInput.
    """
    if (path is None) == (url is None):
        raise BadInput("settle: name either a FILE or a data base with --db URL")
    choices = Choices(from_text, to_text, groups, policies)
    if path is not None:
        return apply_choices(read_file(path), choices)
    from clsbench.cli.settle_stores import read_stores

    body = read_stores(url or "", witness, sources)
    return apply_choices({"schema": 1, "input": body}, choices)


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
@click.option("--svg", type=_PATH, metavar="FILE", help="Draw the series with its sections.")
@click.option("--html", type=_PATH, metavar="FILE", help="The drawing as a page.")
@click.option("--keep", type=_PATH, metavar="DIR", help="Keep the result as a version in DIR.")
def run(
    path: Path | None,
    as_json: bool,
    svg: Path | None,
    html: Path | None,
    keep: Path | None,
    **options: Any,
) -> int:
    """Settle FILE and print the result; exit code 1 with any doubt.

    FILE: a settlement document (JSON), readings and events (CSV, Parquet), or an AR 2418-6 XML.
    --db: the data base of an aEMT or an SMGW instead.
    """
    from clsbench.cli.settle_text import show_by_time, show_result

    document = load(path, **options)
    result = settle_document(document)
    drawable = result["mode"] == "sections"
    settled = settle_point(read_point(input_of(document))) if drawable else None
    if settled is not None:
        if svg is not None:
            write_text(svg, svg_picture(settled))
        if html is not None:
            write_text(html, html_picture(settled, "Settlement"))
    elif svg or html:
        raise BadInput(f"mode {result['mode']} has no series to draw; leave out --svg and --html")
    if keep is not None:
        said = keep_version(keep, result)
        click.echo(said, err=True)
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        show_result(result, "" if settled is None else text_picture(settled))
        if settled is not None:
            show_by_time([misbooked(settled, book) for book in settled.books], result)
    return 1 if result["findings"] else 0


@settle.command()
@click.argument("what", metavar="SLOT|UUID|DAY|GROUP|all")
@click.argument("path", type=_PATH, metavar="FILE", required=False)
@source_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--out", type=_PATH, metavar="DIR", help="Write the records behind it to DIR.")
def explain(what: str, path: Path | None, as_json: bool, out: Path | None, **options: Any) -> None:
    """Where a number comes from: readings, records, seals, statuses, rules.

    SLOT is the begin of a quarter hour (2026-05-04T08:15:00Z), UUID a transaction, DAY a local day
    (2026-05-04), GROUP a balance group. With --db and --out the sealed or signed bytes are written
    as files that `clsbench verify` accepts.
    """
    sources: dict[str, Any] = {}
    document = load(path, sources=sources, **options)
    told = explain_number(settle_point(read_point(input_of(document))), what, sources)
    if out is not None:
        from clsbench.cli.settle_stores import write_evidence

        told["files"] = write_evidence(out, told, sources)
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        click.echo(explain_text(told))


@settle.command()
@click.argument("paths", type=_PATH, nargs=-1, required=True, metavar="OLD NEW|DIR")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def diff(paths: tuple[Path, ...], as_json: bool) -> int:
    """What changed from one result to another, and that it sums up; exit code 1 with a change.

    Two result files, or a folder of versions (--keep), whose last two are compared.
    """
    old, new = two_results(paths)
    told = difference(old, new)
    click.echo(json.dumps(told, ensure_ascii=False) if as_json else difference_text(told))
    return 1 if told["changed"] else 0


@settle.command()
@click.argument("out", type=_PATH, metavar="OUT.csv|OUT.parquet|OUT.json")
@click.argument("path", type=_PATH, metavar="FILE", required=False)
@source_options
def export(out: Path, path: Path | None, **options: Any) -> None:
    """Write the readings and events of FILE or --db as CSV, Parquet, or a settlement document."""
    document = load(path, **options)
    body = document["input"]
    if body.get("mode") != "sections":
        raise BadInput(f"mode {body.get('mode')} has no series to export")
    if out.suffix == ".parquet":
        from clsbench.cli.settle_parquet import write_parquet

        write_parquet(out, body)
    elif out.suffix == ".csv":
        write_text(out, write_csv(body))
    elif out.suffix == ".json":
        write_text(out, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    else:
        raise BadInput(f"{out}: name it .csv, .parquet or .json")
    click.echo(out)


@settle.command()
@source_options
@click.option("--max-power-w", type=click.IntRange(0), default=3000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def compare(max_power_w: int, as_json: bool, **options: Any) -> int:
    """Settle the device's and the gateway's records of --db and explain each difference.

    Exit code 1 where a difference is more than resolution and capture times explain.
    """
    del options["witness"]
    device, gateway = (
        settle_point(read_point(input_of(load(None, witness=name, **options))))
        for name in ("device", "gateway")
    )
    found = compare_witnesses(device, gateway, max_power_w)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found]))
    else:
        for each in found:
            click.echo(each.text())
    return 1 if any(each.cause == FAULT for each in found) else 0


@settle.command()
@click.argument("path", type=_PATH, metavar="FILE", required=False)
@source_options
@click.option("--expected-w", type=click.IntRange(1), required=True, help="Power of the plant.")
@click.option("--late-after-ms", type=click.IntRange(0), default=5000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def reaction(
    path: Path | None, expected_w: int, late_after_ms: int, as_json: bool, **options: Any
) -> int:
    """Whether the plant obeyed each command: obeyed, late, not, or cannot be told.

    Judged from mean power before and behind it; exit code 1 where it did not obey.
    """
    from clsbench.cli.settle_stores import read_commands

    settled = settle_point(read_point(input_of(load(path, **options))))
    given = {
        (one["uuid"], one["action"]): one["event_ms"]
        for one in (read_commands(options["url"]) if options["url"] else [])
    }
    found = reactions(settled, expected_w=expected_w, commands=given, late_after_ms=late_after_ms)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found]))
    else:
        for each in found:
            click.echo(
                f"{format_ms(each.at_ms)} {each.kind} {each.uuid}: "
                f"{each.verdict.replace('_', ' ')}; {each.why}"
            )
    return 1 if any(each.verdict == DID_NOT for each in found) else 0


settle.add_command(fleet)
settle.add_command(sql_tables)
