"""Multiple shooting: short runs side by side, each of which begins on the data."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro._simulate import simulate
from jaxneuro.fitters.targets._losses import AbstractResiduals
from jaxneuro.fitters.targets._nudging import can_be_nudged
from jaxneuro.fitters.targets._targets import AbstractTarget, VoltageTrace
from jaxneuro.models import AbstractModel
from jaxneuro.params import is_concrete
from jaxneuro.results import RESULTS, worst
from jaxneuro.solvers import RK4, AbstractSolver, FixedStep
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["MultipleShooting", "ShootingLoss", "ShootingPrediction"]

_DRAWN = 2.0  # 1/ms, at which V cannot leave the data, so that all else is as the data make it


class ShootingPrediction(NamedTuple):
    """What the amplifier would read in the windows [mV], shape (n_window, n): all samples but the first of each."""

    voltage: Float[Array, "n_window n"]
    result: RESULTS


class Later(AbstractStimulus):
    """Another stimulus, as seen from the time `by` [ms] on."""

    stimulus: AbstractStimulus
    by: Float[Array, ""]

    @property
    def is_piecewise_constant(self) -> bool:
        return self.stimulus.is_piecewise_constant

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        return self.stimulus(t + self.by)

    @property
    def jump_ts(self) -> Float[Array, " n_jump"]:
        return self.stimulus.jump_ts - self.by

    @property
    def domain(self) -> tuple[Any, Any]:
        start, end = self.stimulus.domain
        return start - self.by, end - self.by


class MultipleShooting(AbstractTarget):
    """A voltage trace cut into windows, in each of which a smooth model runs from the data on.

    The model runs once along the whole trace, drawn to it (`Nudged`, 2 /ms), which brings its gates to where the data
    have them and averages over the noise of V. From its states there it runs freely through each window, all of them
    side by side. Within a window spikes cannot slip by more than they would in its length, so that the error has few
    local minima while the window is short. What noise is left where windows begin adds to the error and shifts the
    parameters, by per cents for windows of a few ms; finish with the trace itself.

    **Arguments:** `trace`, a `VoltageTrace` whose electrode has no filter; `window`, length of the windows [ms]. What
    remains at the end is left out.

    The prediction is a `ShootingPrediction`.

    **Raises:** ValueError for a window that is shorter than two samples or longer than the trace.

    >>> fit(model, MultipleShooting(trace, window=20.0), free={"na.g_max": (60.0, 240.0)})

    References: Bock (1981), in: Modelling of Chemical Reaction Systems, Springer, p. 102.
    doi:10.1007/978-3-642-68220-9_8; Burghi et al. (2025), Front Comput Neurosci 19:1515194.
    doi:10.3389/fncom.2025.1515194
    """

    trace: VoltageTrace
    n: int = eqx.field(static=True)
    """Samples of a window, the one at its start not counted."""

    def __init__(self, trace: VoltageTrace, *, window: float):
        if not isinstance(trace, VoltageTrace):
            raise TypeError(f"Argument `trace` must be a VoltageTrace, but is a {type(trace).__name__}; build one.")
        if trace.electrode is not None and trace.electrode.corner is not None:
            raise ValueError(
                f"Argument `trace` must have an electrode without a filter, but has one of {trace.electrode.corner:g} "
                "kHz, which remembers the window before; leave it out."
            )
        duration = trace.t1 - trace.t0
        if not is_concrete(window) or not 2 * trace.dt <= window <= duration * (1 + 1e-9):
            raise ValueError(
                f"Argument `window` must lie between two samples, {2 * trace.dt:g} ms, and the length of the trace, "
                f"{duration:g} ms, but is {window}; use e.g. {duration / 10:g}."
            )
        self.trace, self.n = trace, round(window / trace.dt)

    @property
    def n_window(self) -> int:
        """Number of windows."""
        return (self.trace.voltage.size - 1) // self.n

    def in_windows(self, samples: Array) -> Array:
        """What belongs to the windows of an array (n_time,), shape (n_window, n)."""
        return samples[1 : 1 + self.n_window * self.n].reshape(self.n_window, self.n)

    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """Runge-Kutta steps, which a model that is drawn to data needs."""
        return FixedStep(self.trace.solver_for(model).dt, solver=RK4())

    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        if not can_be_nudged(model):
            raise ValueError(
                f"Argument `model` must be smooth for multiple shooting, but is a {type(model).__name__}; use "
                "SpikeTimes or SpikeTrains."
            )
        self.trace.check(model, solver)

    def predict(self, model: AbstractModel, solver: AbstractSolver) -> ShootingPrediction:
        trace, dt = self.trace, self.trace.dt
        along = trace.drawn(_DRAWN).predict(model, solver)
        first = self.n * jnp.arange(self.n_window)
        starts = jax.tree.map(lambda leaf: leaf[first], along.ys)

        def run(y0: Any, at: Array) -> tuple[Array, RESULTS]:
            stimulus = Later(trace.stimulus, at)
            options = {"y0": y0, "solver": solver, "max_spikes": 1, "throw": False}
            found = simulate(model, stimulus, t1=self.n * dt, dt_save=dt, **options)
            return found.voltage[1:], found.result

        voltage, results = jax.vmap(run)(starts, trace.t0 + dt * first)
        if trace.electrode is not None:
            voltage = voltage + self.in_windows(trace.electrode.added(trace.injected))
        is_drawn = along.result == RESULTS.successful
        return ShootingPrediction(voltage, RESULTS.where(is_drawn, worst(results), along.result))


class ShootingLoss(AbstractResiduals):
    """Voltage error at every sample of every window; the loss is its mean square [mV^2]."""

    unit: ClassVar[str] = "mV^2"
    targets: ClassVar[tuple[type, ...]] = (MultipleShooting,)

    def __call__(self, prediction: ShootingPrediction, target: MultipleShooting) -> Float[Array, " n"]:
        error = prediction.voltage - target.in_windows(target.trace.voltage)
        if target.trace.mask is None:
            return error.ravel()
        mask = target.in_windows(target.trace.mask)
        return (jnp.where(mask, error, 0.0) * jnp.sqrt(mask.size / jnp.maximum(jnp.sum(mask), 1))).ravel()
