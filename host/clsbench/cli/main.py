"""The command `clsbench`: finds the command group and turns errors into exit codes.

Exit codes: 0 ok, 1 finding, 2 usage or bad input, 3 environment. Groups load on use, so
that `clsbench --help` is quick and a missing part hurts only its own command.
"""

import importlib
import sys

import click

from clsbench.errors import ClsbenchError

_COMMANDS = {
    "decode": "clsbench.cli.decode:decode",
    "demo": "clsbench.cli.demo:demo",
    "doctor": "clsbench.cli.doctor:doctor",
    "emt": "clsbench.cli.emt:emt",
    "flash": "clsbench.cli.flash:flash",
    "gwa": "clsbench.cli.gwa:gwa",
    "load": "clsbench.cli.load:load",
    "log": "clsbench.cli.board:log",
    "meter": "clsbench.cli.meter:meter",
    "pki": "clsbench.cli.pki:pki",
    "records": "clsbench.cli.records:records",
    "report": "clsbench.cli.report:report",
    "settle": "clsbench.cli.settle:settle",
    "smgw": "clsbench.cli.smgw:smgw",
    "status": "clsbench.cli.board:status",
    "switch": "clsbench.cli.board:switch",
    "time": "clsbench.cli.board:time",
    "update": "clsbench.cli.update:update",
    "unflash": "clsbench.cli.flash:unflash",
    "verify": "clsbench.cli.verify:verify",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name].split(":")
        return getattr(importlib.import_module(module), attribute)


@click.command(cls=_LazyGroup)
@click.version_option(package_name="clsbench")
def cli() -> None:
    """The open bench for smart-meter control boxes: DICAMM, SMGW, GWA, aEMT and meters."""


def main() -> None:
    """Entry point of the console script."""
    try:
        outcome = cli.main(standalone_mode=False)
    except ClsbenchError as error:
        print(f"clsbench: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print("clsbench: stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(outcome if isinstance(outcome, int) else 0)
