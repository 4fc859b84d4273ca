"""In which stages a fit goes on: gradient steps and Levenberg-Marquardt ones, or nudged runs ever more free."""

import math
from typing import Any

import numpy as np

from jaxneuro.fitters.search._firing import by_features, has_spikes
from jaxneuro.fitters.search._population import Population
from jaxneuro.fitters.search._stages import Look, Stage
from jaxneuro.fitters.targets._joint import Joint, drawn
from jaxneuro.fitters.targets._losses import TraceLoss
from jaxneuro.fitters.targets._nudging import can_be_nudged
from jaxneuro.fitters.targets._spike_trains import SpikeTrains
from jaxneuro.fitters.targets._step_response import StepResponse
from jaxneuro.fitters.targets._targets import AbstractTarget, SpikeTimes, VoltageTrace
from jaxneuro.fitters.targets._van_rossum import VanRossumLoss
from jaxneuro.models import AbstractModel

__all__ = ["STRATEGIES", "chosen_strategy", "planned"]

STRATEGIES = ("auto", "nudging", "descent", "newton", "population")

# Share of Levenberg-Marquardt steps: the gradient steps find the valley, and do not follow it to its end.
_POLISH = 0.6
# Strengths of the nudging [1/ms]: at 2 the voltage cannot leave the data, at 0.02 spikes find their own times.
_STRENGTHS = (2.0, 0.5, 0.1, 0.02)
_STEPS_NUDGED = 10  # of each strength at most; starts far off take more than the 5 that others need
_WORTH_NUDGED = 0.01  # gain for which it goes on: the next strength has another optimum anyway
_TRIAL = 0.25  # of the steps, after which it is seen which starts lead nowhere
_LONGEST_TAU, _N_TAUS = 0.25, 4  # of a run, at which the distance of two trains has few minima; stages down to its own
_SCREENED = 256  # points among which there may be a model that fires
_LONGER = 1.6  # how many more generations they take than populations around values that a user knows
_REMEDIED = 2  # starts around which there is a population for what has failed otherwise
_WIDE, _NARROW = (0.4, 25), (0.1, 15)  # widths in u and generations, after which Newton's steps gain more


def chosen_strategy(strategy: Any, model: AbstractModel, target: AbstractTarget, loss: Any, is_plain: bool) -> str:
    """One of STRATEGIES but "auto"; `is_plain`: the user named no optimiser and wants Levenberg-Marquardt steps."""
    if strategy not in STRATEGIES:
        raise ValueError(
            f"Argument `strategy` must be one of {', '.join(STRATEGIES)}, but is {strategy!r}; choose one."
        )
    can = bool(_traces_of(target)) and can_be_nudged(model) and isinstance(loss, TraceLoss | None)
    if strategy == "nudging" and not (can and is_plain):
        raise ValueError(
            'Argument `strategy` must suit the fit, but is "nudging", which needs a smooth model, a VoltageTrace, or a '
            'Joint of such alone, with its own loss, and no `optimizer`; use "descent".'
        )
    if strategy != "auto":
        return strategy
    if not is_plain:
        return "descent"
    if isinstance(target, SpikeTrains):
        return "newton"
    if loss is None and all(isinstance(term, StepResponse) for term in _terms_of(target)):
        return "population"
    return "nudging" if can else "descent"


def _terms_of(target: AbstractTarget) -> list[AbstractTarget]:
    """The terms of a `Joint`, or the one target."""
    return list(target.terms.values()) if isinstance(target, Joint) else [target]


def _traces_of(target: AbstractTarget) -> list[VoltageTrace]:
    """All terms, if all are voltage traces with the loss of one, else none."""
    losses = target.losses.values() if isinstance(target, Joint) else []
    terms = _terms_of(target)
    is_plain = all(isinstance(loss, TraceLoss) for loss in losses)
    return terms if is_plain and all(isinstance(term, VoltageTrace) for term in terms) else []


def _has_own_loss(target: AbstractTarget) -> bool:
    """Whether nobody has chosen another loss than squares for a term."""
    return all(loss.huber is None for loss in target.losses.values()) if isinstance(target, Joint) else True


def planned(
    strategy: str,
    target: AbstractTarget,
    loss: Any,
    steps: int,
    seed: int,
    has_newton: bool,
    kept: int | None,
    *,
    is_auto: bool,
) -> list[Stage]:
    """The stages of a strategy; `has_newton`: Levenberg-Marquardt steps are wanted and the loss has residuals;
    `is_auto`: the strategy was chosen for the user, and there is a remedy if it fails."""
    if strategy == "nudging":
        stages = nudging(target, steps, kept)
        can_help = is_auto and _has_own_loss(target) and has_spikes(_traces_of(target))
        return [*stages, *remedies(target, steps, seed)] if can_help else stages
    if strategy == "population":
        return population(target, steps, seed, has_newton, kept)
    if isinstance(loss, VanRossumLoss):
        return annealing(target, loss, steps, kept)
    share = 0.0 if not has_newton else 1.0 if strategy == "newton" else _POLISH
    return descent(target, steps, share, kept)


def descent(target: AbstractTarget, steps: int, share: float, kept: int | None) -> list[Stage]:
    """Gradient steps, and then a share of Levenberg-Marquardt ones; after a quarter of the former, or of the latter
    if there are no others, only the `kept` best starts go on."""
    n_polish = int(share * steps)
    is_newton = n_polish == steps
    n_first = _TRIAL * (n_polish if is_newton else steps - n_polish) if kept else 0
    n_first = math.ceil(n_first)
    name = "Levenberg-Marquardt" if is_newton else "gradient"
    stages = [
        Stage(f"{name}, all starts", target, n_first, is_newton, False, n_kept=kept),
        Stage("gradient", target, steps - n_polish - (0 if is_newton else n_first), False, False),
        Stage("Levenberg-Marquardt", target, n_polish - (n_first if is_newton else 0), True, False),
    ]
    return [stage for stage in stages if stage.n_steps > 0]


def annealing(target: SpikeTimes, loss: VanRossumLoss, steps: int, kept: int | None) -> list[Stage]:
    """Gradient steps on a distance that compares counts of spikes first, and then ever more closely their times."""
    taus = np.geomspace(max(_LONGEST_TAU * target.t1, float(loss.tau)), float(loss.tau), _N_TAUS)
    each = max(steps // _N_TAUS, 1)
    numbers = [each] * (_N_TAUS - 1) + [max(steps - each * (_N_TAUS - 1), 1)]
    return [
        Stage(f"gradient, tau {tau:.3g} ms", target, n, False, True, loss=loss.with_tau(tau), n_kept=kept)
        for tau, n in zip(taus, numbers, strict=True)
    ]


def nudging(target: AbstractTarget, steps: int, kept: int | None) -> list[Stage]:
    """Levenberg-Marquardt steps on runs that are drawn to the data, less and less, and on the free run at last."""
    each = min(_STEPS_NUDGED, max(steps // (2 * len(_STRENGTHS)), 1))
    # a start that cannot meet the data while it is drawn to them will not by itself
    nudged = [
        Stage(f"nudged {k:g} /ms", drawn(target, k), each, True, True, n_kept=kept, worth=_WORTH_NUDGED)
        for k in _STRENGTHS
    ]
    rest = max(steps - each * len(nudged), 1)
    return [*nudged, Stage("free run", drawn(target, 0.0), rest, True, True)]


def remedies(target: AbstractTarget, steps: int, seed: int) -> list[Stage]:
    """A look at how the best run fires, and if not as the data do, populations and Levenberg-Marquardt steps on the
    features of its spikes, around the starts that come nearest to these."""
    target, loss = by_features(target)
    look = Stage("features", target, 0, False, True, n_kept=_REMEDIED, look=Look(_SCREENED, seed))
    searches = population(target, steps, seed, True, None, longer=_LONGER)
    others = [stage._replace(name=f"features, {stage.name}") for stage in searches]
    return [stage._replace(loss=loss, is_remedy=True) for stage in (look, *others)]


def population(
    target: AbstractTarget, steps: int, seed: int, has_newton: bool, kept: int | None, *, longer: float = 1.0
) -> list[Stage]:
    """A wide search and a narrow one, Levenberg-Marquardt steps after each, or the optimiser's for a loss without
    residuals; the narrow one around the `kept` best starts; `longer`, the factor of their generations."""

    def search(width: float, generations: int) -> Stage:
        return Stage("population", target, 0, False, True, Population(width, round(longer * generations), seed))

    def newton(n_steps: int, n_kept: int | None = None) -> Stage:
        return Stage("Levenberg-Marquardt", target, n_steps, True, True, n_kept=n_kept)

    if not has_newton:
        return [search(*_WIDE), search(*_NARROW), *descent(target, steps, 0.0, kept)]
    first = max(steps // 2, 1)
    return [search(*_WIDE), newton(first, kept), search(*_NARROW), newton(max(steps - first, 1))]
