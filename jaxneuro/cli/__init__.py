"""The command line: `jaxneuro simulate | fi | info | fit | demo`."""

import os
import sys
from collections.abc import Sequence

import click

from jaxneuro.cli._demo import demo
from jaxneuro.cli._fi import fi
from jaxneuro.cli._fit import fit
from jaxneuro.cli._info import info
from jaxneuro.cli._simulate import simulate

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jaxneuro", prog_name="jaxneuro")
def cli() -> None:
    """Differentiable neuron models that fit real recordings.

    \b
    Examples:
      jaxneuro demo
      jaxneuro simulate hh --amplitude 10 --t1 50
      jaxneuro fit cell.abf --model lif --target fi --out fitted
    """


for command in (simulate, fi, info, fit, demo):
    cli.add_command(command)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line. A mistake of the user is one sentence on stderr and exit code 2, Ctrl-C exit code 130."""
    try:
        code = cli.main(args=args, prog_name="jaxneuro", standalone_mode=False)
    except click.exceptions.Abort:
        _fail("Interrupted; nothing was written.", 130)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "jaxneuro"
        _fail(f"{error.format_message().rstrip('.')}; see `{command} --help`.", 2)
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        if os.environ.get("JAXNEURO_TRACEBACK"):  # for bug reports
            raise
        _fail(" ".join(str(error).split()), 2)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(sentence: str, code: int) -> None:
    print(f"jaxneuro: {sentence}", file=sys.stderr)
    sys.exit(code)
