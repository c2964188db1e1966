"""The command ``fpm-inr``: one file a verb, each loaded only when it is called."""

from __future__ import annotations

import importlib
import sys

import click

from fpm_inr import __version__
from fpm_inr.allocator import keep_freed_memory
from fpm_inr.device import in_plain_words
from fpm_inr.errors import FpmInrError

# verb -> one line of help; kept here so that `fpm-inr --help` need not import the verbs.
VERBS = {
    "inspect": "Say what an acquisition holds: optics, LEDs, sampling, overlap, warnings.",
    "calibrate": "Find pupil, LED positions and gains of an acquisition from its frames.",
    "reconstruct": "Solve an acquisition for a focus stack.",
    "mosaic": "Solve a whole field of view, tile by tile.",
    "render": "Render a solution at any z into images, stacks or movies.",
    "focus": "All-in-focus image, depth map and focus curves of a solution.",
    "trust": "Say how far to trust a result: noise, resolution, LEDs, model error.",
    "evaluate": "Compare a result with a reference.",
    "benchmark": "Compare engines and recipes on this machine: time, memory, storage, error.",
    "simulate": "Make an acquisition of a known specimen.",
    "view": "Look at a solution in the browser, at any z.",
    "export": "Write a solution as one HTML file that focuses in any browser.",
    "convert": "Write an acquisition as this project's HDF5 file.",
    "init": "Write a commented acquisition.yaml to describe a folder of frames.",
}


class VerbGroup(click.Group):
    """A group whose commands live in ``fpm_inr.cli.<verb>`` as ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"fpm_inr.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fpm-inr")
def cli() -> None:
    """Fourier ptychographic microscopy: a whole focus stack as one small field."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a user's mistake ends in one sentence and exit code 2."""
    keep_freed_memory()
    try:
        with in_plain_words():
            status = cli.main(arguments, prog_name="fpm-inr", standalone_mode=False)
    except FpmInrError as error:
        click.echo(f"Error: {error}", err=True)
        status = 2
    except click.ClickException as error:
        error.show()
        status = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        status = 130
    except BrokenPipeError:
        status = 1
    sys.exit(status if isinstance(status, int) else 0)
