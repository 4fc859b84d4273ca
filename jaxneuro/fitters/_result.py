"""What a fit returns: parameters with units, the fitted model, history, a table and a file."""

import dataclasses
import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxneuro import params, units
from jaxneuro._arguments import check_kind
from jaxneuro._simulate import simulate
from jaxneuro._version import __version__
from jaxneuro.fitters._doubts import doubts
from jaxneuro.fitters._scores import Scores, scores_of
from jaxneuro.fitters._sensitivity import Sensitivity
from jaxneuro.fitters._text_table import text_table
from jaxneuro.fitters.search._engine import Problem
from jaxneuro.fitters.search._stages import StageReport
from jaxneuro.fitters.search._whole_file import whole_file
from jaxneuro.fitters.targets._joint import Joint, JointLoss
from jaxneuro.fitters.targets._targets import AbstractTarget, FICurve
from jaxneuro.models import AbstractModel
from jaxneuro.solvers import AbstractSolver
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["FitRecord", "FitResult", "FittedParam", "check_result", "check_scatter", "load"]


@dataclasses.dataclass(frozen=True)
class FittedParam:
    """One fitted parameter: `value`, where its start was, its bounds, the true value if known.

    All in `unit`; an open end of the bounds is None.
    """

    value: float
    unit: str
    start: float
    low: float | None
    high: float | None
    true: float | None = None
    std: float | None = None
    """Standard deviation that the residuals' curvature gives, were they independent; None where it is unknown."""
    paths: tuple[str, ...] = ()
    """Where it belongs, "model.channels.leak.g_max" or "target.electrode.R_s"; several for a shared one."""

    @property
    def of_model(self) -> bool:
        """Whether it is a parameter of the model, and not of the electrode or the stimulus."""
        return any(path.startswith("model.") for path in self.paths)

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval, value -+ 1.96 std, cut off at the bounds; None without `std`."""
        if self.std is None:
            return None
        low, high = self.value - 1.96 * self.std, self.value + 1.96 * self.std
        return low if self.low is None else max(low, self.low), high if self.high is None else min(high, self.high)

    @property
    def error(self) -> float | None:
        """Deviation from the true value [%]; None where that is unknown or 0."""
        return 100 * (self.value / self.true - 1) if self.true else None


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FitResult:
    """Outcome of `fit`; the best of all starts.

    - `model`: with the fitted values. `target`: what it was fitted to; `held_out`: what was not, with the fitted
      electrode. `params`: name -> `FittedParam`.
    - `loss` [`loss_unit`, empty for a loss of the user's own]. `history`: loss of every start before each step, shape
      (n_steps, n_starts). `start_losses`: the lowest of each start, shape (n_starts,), inf for one that never had a
      finite loss, NaN for one that was given up. `start_values`: name -> where each start had it, shape (n_starts,).
      `n_failed`: steps of each start whose loss or gradient was not finite.
    - `seconds`: wall time, compilation included. `stages`: what each stage took and reached. `ended`: why the fit ended
      before its last step ("Ctrl-C", "callback", "time budget"), "" if it did not.
    - `sensitivity`: how well the data determine the parameters; None where they do not tell their own scatter, and
      then `why_unsure` says why: a loss that is one number, features in tolerances, a `Joint` whose terms differ in
      kind, size, scale, weight or loss, or an early end. `problem`, `u`, `n_errors`: what was minimised, where in the
      transforms' coordinates, and from how many data the residuals come.
    """

    model: AbstractModel
    target: AbstractTarget
    params: dict[str, FittedParam]
    loss: float
    loss_unit: str
    history: np.ndarray
    start_losses: np.ndarray
    start_values: dict[str, np.ndarray]
    n_failed: np.ndarray
    solver: AbstractSolver
    seconds: float
    stages: tuple[StageReport, ...] = ()
    sensitivity: Sensitivity | None = None
    problem: Problem | None = None
    u: Float[Array, " p"] | None = None
    n_errors: int | None = None
    why_unsure: str = ""
    ended: str = ""
    held_out: AbstractTarget | None = None

    @property
    def is_interrupted(self) -> bool:
        """Whether something ended the fit before its last step: Ctrl-C, the callback or the time budget."""
        return bool(self.ended)

    @property
    def values(self) -> dict[str, float]:
        """Parameter name -> fitted value [its unit]."""
        return {name: fitted.value for name, fitted in self.params.items()}

    @functools.cached_property
    def prediction(self) -> Any:
        """The fitted model's answer to the target's experiment, which the loss compares with the data."""
        return self.target.predict(self.model, self.solver)

    @functools.cached_property
    def held_out_prediction(self) -> Any:
        """Its answer to what was held out, None if nothing was."""
        return None if self.held_out is None else self.held_out.predict(self.model, self.solver)

    @functools.cached_property
    def errors(self) -> dict[str, tuple[float, str]]:
        """Term of the target -> its error and the unit: the root of its mean square, or the loss itself.

        A target that is no `Joint` has one term, called "all".
        """
        if not isinstance(self.target, Joint):
            of_data = self.problem.loss(self.prediction, self.target) if self.problem.priors else None
            loss = self.loss if of_data is None else float(self.problem.value((of_data, {})))
            return {"all": _error(loss, self.loss_unit)}
        loss = JointLoss()
        values = loss.values(loss(self.prediction, self.target), self.target)
        return {name: _error(float(values[name]), self.target.losses[name].unit) for name in self.target.names}

    @functools.cached_property
    def scores(self) -> dict[str, Scores]:
        """Term of the target -> name of a score -> (value, unit): RMS error and explained variance of a trace, spikes
        and coincidence factor of spike times, and so on."""
        return scores_of(self.target, self.prediction)

    @functools.cached_property
    def held_out_scores(self) -> dict[str, Scores]:
        """The same of the data that were held out, empty if none were."""
        return {} if self.held_out is None else scores_of(self.held_out, self.held_out_prediction)

    @functools.cached_property
    def open_questions(self) -> list[str]:
        """What speaks against the fit and what the data leave open, in sentences; or why that is not known."""
        found = doubts(self.target, self.prediction, self.scores, has_std=self.sensitivity is not None)
        if self.sensitivity is None:
            return [*found, f"Standard deviations are not known: {self.why_unsure}."]
        return found + self.sensitivity.sentences()

    def report(self, path: str | os.PathLike, title: str = "Fit") -> None:
        """Write one HTML file with figures, parameters, intervals, errors and stages."""
        from jaxneuro.plot import fit_report

        fit_report(self, path, title)

    def predict(self, stimulus: AbstractStimulus | float | None = None, *, t1: float | None = None) -> Any:
        """What the fitted model answers: to the target's own experiment, or to another stimulus.

        **Arguments:** `stimulus`, in the model's input unit, and `t1`, end of the run [ms]; without
        them the prediction that the loss compares with the data: a `Solution`, or an `FIResult`.
        """
        if t1 is None:
            if stimulus is not None:
                raise ValueError(
                    "Argument `t1` must be given with a stimulus, but is None; give the end of the run in ms."
                )
            return self.prediction
        return simulate(self.model, stimulus, t1=t1)

    def compare(self, true: Mapping[str, float]) -> "FitResult":
        """The same result with true (or published) values beside the fitted ones."""
        unknown = [name for name in true if name not in self.params]
        if unknown:
            raise ValueError(
                f"Argument `true` must name fitted parameters, but has {unknown[0]!r}; choose from "
                f"{', '.join(self.params)}."
            )
        known = {name: dataclasses.replace(self.params[name], true=float(v)) for name, v in true.items()}
        return dataclasses.replace(self, params=self.params | known)

    def table(self, true: Mapping[str, float] | None = None) -> str:
        """Text table: parameter, fitted value and its standard deviation, unit, start, bounds, true value if known; and
        what the data leave open, in sentences."""
        fitted = self.compare(true or {}).params
        has_true = any(p.true is not None for p in fitted.values())
        rows = [["parameter", "fitted", "+-", "unit", "start", "bounds"]]
        rows[0] += ["true", "error"] if has_true else []
        for name, p in fitted.items():
            row = [
                name,
                f"{p.value:.5g}",
                "" if p.std is None else f"{p.std:.2g}",
                p.unit,
                f"{p.start:.4g}",
                f"{_end(p.low)} to {_end(p.high)}",
            ]
            row += [_end(p.true), "" if p.error is None else f"{p.error:+.2f} %"] if has_true else []
            rows.append(row)
        return "\n".join(text_table(rows) + self.open_questions)

    def plot(self, axes: Any = None) -> Any:
        """Draw data against model, and the loss over the steps; returns the matplotlib axes."""
        from jaxneuro.plot import plot_fit

        return plot_fit(self, axes)

    def to_dict(self) -> dict[str, Any]:
        """All that `save` writes, as plain Python values."""
        free = {path.removeprefix("model.") for paths in self.problem.paths for path in paths}
        infos = params.params(self.model)
        record = {
            "format": "jaxneuro fit 1",
            "jaxneuro": __version__,
            "jax": jax.__version__,
            "model": type(self.model).__name__,
            "target": type(self.target).__name__,
            "params": {name: dataclasses.asdict(p) for name, p in self.params.items()},
            "fixed": {
                name: {
                    "value": np.asarray(params.get(self.model, path)).tolist(),
                    "unit": infos[path].unit,
                }
                for name, path in params.names(self.model).items()
                if path not in free
            },
            "loss": self.loss,
            "errors": {name: {"value": _finite(value), "unit": unit} for name, (value, unit) in self.errors.items()},
            "loss_unit": self.loss_unit,
            "scores": {"fitted": _plain(self.scores), "held_out": _plain(self.held_out_scores)},
            "start_losses": [_finite(loss) for loss in self.start_losses],
            "open_questions": self.open_questions,
            "n_steps": len(self.history),
            "stages": [stage._asdict() | {"loss": _finite(stage.loss)} for stage in self.stages],
            "n_failed": self.n_failed.tolist(),
            "solver": repr(self.solver),
            "seconds": round(self.seconds, 2),
            "ended": self.ended,
        }
        return record | ({"fi": _fi(self)} if isinstance(self.target, FICurve) else {})

    def save(self, path: str | os.PathLike) -> None:
        """Write `to_dict()` as JSON; the file appears whole or not at all."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        with whole_file(path) as file:
            file.write(text.encode())

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={p.value:.5g} {p.unit}" for name, p in self.params.items())
        unit = "" if self.loss_unit in ("", "1") else f" {self.loss_unit}"
        return f"FitResult({values}; loss {self.loss:.4g}{unit})"


def check_result(result: Any) -> None:
    """Raise a TypeError unless it is what `fit` returns."""
    check_kind("result", result, FitResult, "a FitResult", "give what `fit` returns")


def check_scatter(result: FitResult) -> None:
    """Raise a ValueError unless its data tell how much they scatter."""
    if result.sensitivity is None:
        raise ValueError(
            f"Argument `result` must be of data that tell their own scatter, but {result.why_unsure}; fit residuals of "
            "one kind, or a likelihood, to the end."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class FitRecord:
    """A saved fit: `params` as in `FitResult`, its `loss`, and `data`, all that the file holds."""

    params: dict[str, FittedParam]
    loss: float
    data: dict[str, Any]

    def apply(self, model: AbstractModel) -> AbstractModel:
        """`model` with the fitted values and those that were fixed."""
        fixed = {name: np.asarray(entry["value"]) for name, entry in self.data["fixed"].items()}
        fitted = {
            path.removeprefix("model."): one.value
            for one in self.params.values()
            for path in one.paths
            if path.startswith("model.")
        }
        return params.replace(model, fixed | fitted)


def load(path: str | os.PathLike) -> FitRecord:
    """Read what `FitResult.save` wrote. Data and model class are not in the file, hence a record.

    **Raises:** FileNotFoundError; ValueError for a file of another kind.

    >>> model = load("fit.json").apply(HodgkinHuxley())
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"File '{path}' must exist, but does not; check its name.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        # files without paths are of fits that only knew the model's parameters
        entries = {name: {"paths": (f"model.{name}",)} | entry for name, entry in data["params"].items()}
        fitted = {name: FittedParam(**entry | {"paths": tuple(entry["paths"])}) for name, entry in entries.items()}
        return FitRecord(fitted, data["loss"], data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"File '{path}' must hold a fit saved by FitResult.save, but does not "
            f"({type(error).__name__}); choose another file."
        ) from error


def _error(loss: float, unit: str) -> tuple[float, str]:
    return (float(np.sqrt(loss)), unit.removesuffix("^2")) if unit.endswith("^2") else (loss, unit)


def _end(bound: float | None) -> str:
    return "" if bound is None else f"{bound:.4g}"


def _finite(x: float | None) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return float(x) if x is not None and np.isfinite(x) else None


def _plain(scores: Mapping[str, Scores]) -> dict[str, Any]:
    return {
        term: {name: {"value": _finite(value), "unit": unit} for name, (value, unit) in of_term.items()}
        for term, of_term in scores.items()
    }


def _fi(result: FitResult) -> dict[str, Any]:
    """f-I curves of data and model, both by counting; the current in pA where it is a current."""
    target, unit = result.target, result.model.input_unit
    prediction = result.predict()
    current = np.asarray(target.current_in(unit), np.float64)
    rate_data, rate_model = (np.asarray(r, np.float64) for r in (target.rate, prediction.rate))
    if units.same_dimension(unit, "pA"):
        column = {"current_pA": np.round(units.convert(current, unit, "pA"), 9).tolist()}
    else:
        column = {"current": current.tolist(), "current_unit": unit}
    return column | {
        "rate_data_hz": rate_data.tolist(),
        "rate_model_hz": rate_model.tolist(),
        "duration_ms": target.duration,
        "rms_hz": float(np.sqrt(np.mean((rate_model - rate_data) ** 2))),
    }
