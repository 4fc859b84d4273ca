"""What the commands share: models by name, parameter settings, and output folders that are never half-written."""

import contextlib
import difflib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from jaxneuro import params
from jaxneuro.models import (
    EIF,
    LIF,
    QIF,
    AbstractModel,
    AbstractSolvableModel,
    AdEx,
    ConnorStevens,
    FastSpiking,
    FitzHughNagumo,
    HodgkinHuxley,
    IntrinsicallyBursting,
    Izhikevich,
    LowThresholdSpiking,
    MorrisLecar,
    RegularSpiking,
    RinzelHodgkinHuxley,
    TraubMiles,
    WangBuzsaki,
)

__all__ = [
    "MODELS",
    "check_output",
    "common_options",
    "model_option",
    "output_folder",
    "save_figure",
    "start",
    "usual_currents",
]

MODELS: dict[str, type[AbstractModel]] = {
    "hh": HodgkinHuxley,
    "fhn": FitzHughNagumo,
    "lif": LIF,
    "eif": EIF,
    "qif": QIF,
    "adex": AdEx,
    "izhikevich": Izhikevich,
    "connor-stevens": ConnorStevens,
    "regular-spiking": RegularSpiking,
    "fast-spiking": FastSpiking,
    "bursting": IntrinsicallyBursting,
    "low-threshold": LowThresholdSpiking,
    "wang-buzsaki": WangBuzsaki,
    "traub-miles": TraubMiles,
    "morris-lecar": MorrisLecar,
    "rinzel": RinzelHodgkinHuxley,
}


# a current that makes a model fire and the highest of its f-I curve, by input unit
_CURRENTS = {"uA/cm^2": (10.0, 20.0), "nA": (0.3, 0.6), "mV/ms": (10.0, 20.0), "1": (0.5, 1.0)}


def usual_currents(neuron: AbstractModel) -> tuple[float, float]:
    """A current for a run and the highest of an f-I curve where none is given [unit of the model]: 1.5 and 3 times the
    rheobase where the model knows it."""
    if isinstance(neuron, AbstractSolvableModel | AdEx):
        return round(1.5 * float(neuron.rheobase), 9), round(3 * float(neuron.rheobase), 9)
    return _CURRENTS[neuron.input_unit]


def start(out: Path) -> None:
    """Set up jax for the command line: double precision and a compilation cache that lasts; and make sure of the output
    folder, before anything is computed for it."""
    import jax

    check_output(out)
    jax.config.update("jax_enable_x64", True)
    if jax.config.jax_compilation_cache_dir is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(cache / "jaxneuro"))


def common_options(out: str) -> Callable:
    """The options of every command: --out (default `out`) and --seed."""

    def decorate(command: Callable) -> Callable:
        command = click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all random numbers [1]."
        )(command)
        return click.option(
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            default=out,
            show_default=True,
            help="Folder for the results.",
        )(command)

    return decorate


def model_option(command: Callable) -> Callable:
    """The option --set NAME=VALUE."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Change a parameter, in its own unit; may be given several times, e.g. --set na.g_max=100.",
    )(command)


def build_model(name: str, settings: Sequence[str]) -> AbstractModel:
    """The model called `name`, or whose class is, with the parameters of `settings`; one sentence if something is
    unknown."""
    known = {_letters(spelling): key for key, model in MODELS.items() for spelling in (key, model.__name__)}
    given = _letters(name)
    if given not in known:
        close = difflib.get_close_matches(given, known, n=1)
        hint = f"did you mean {known[close[0]]!r}?" if close else "choose one."
        raise ValueError(f"Argument MODEL must be one of {', '.join(MODELS)}, but is {name!r}; {hint}")
    return params.replace(MODELS[known[given]](), dict(map(_setting, settings)))


def _letters(name: str) -> str:
    """The name without case and hyphens, in which the spellings of a model differ."""
    return re.sub(r"[\W_]", "", name.lower())


def _setting(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise ValueError(
            f"Option --set must be NAME=VALUE with a number, but is {text!r}; write e.g. --set na.g_max=100."
        ) from None


def check_output(out: Path) -> None:
    """Raise a ValueError if the folder cannot be made or written to."""
    folder = out.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f"Option --out must be a folder that you may write to, but '{folder}' is not; choose another.")


@contextlib.contextmanager
def output_folder(out: Path) -> Iterator[Path]:
    """A scratch folder whose files move to `out` when all of them are written; after a failure none does."""
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        yield scratch
        out.mkdir(exist_ok=True)
        for file in sorted(scratch.iterdir()):
            os.replace(file, out / file.name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def save_figure(drawn: Any, path: Path) -> None:
    """Write the figure that the matplotlib axes or figure `drawn` belong to, and close it."""
    import matplotlib.pyplot as plt
    import numpy as np

    first = np.ravel(drawn)[0]
    figure = first.get_figure()
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
