"""Adaptive steps with error control, by diffrax."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

from jaxneuro.models import AbstractModel, AbstractSpikingModel
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._base import AbstractSolver, TimeGrid, Trajectory
from jaxneuro.solvers._crossings import smooth_spikes
from jaxneuro.solvers._steppers import ModelTerm
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["Adaptive"]


class Adaptive(AbstractSolver):
    """Adaptive step size with error control; the default for smooth models run alone.

    Drives `diffrax.diffeqsolve` with a PID controller. Steps end and begin anew at every jump of the stimulus, so
    that no pulse is missed, and are never longer than `dtmax`.

    **Arguments:** `rtol`, `atol`, tolerances of a step (`atol` in the unit of each variable); `dtmax`, longest step
    [ms]; `solver`, any adaptive diffrax solver; `max_steps`, None for 4096 or 200 per ms, whichever is more;
    `gradient`, "reverse" (few outputs, many parameters) or "forward" (jax.jvp, jax.jacfwd).

    >>> Adaptive(rtol=1e-8, atol=1e-8)

    References: Tsitouras (2011), Comput Math Appl 62:770. doi:10.1016/j.camwa.2011.06.002
    """

    rtol: float = 1e-6
    atol: float = 1e-6
    dtmax: float = 0.5
    solver: diffrax.AbstractAdaptiveSolver = eqx.field(default_factory=diffrax.Tsit5)
    max_steps: int | None = eqx.field(static=True, default=None)
    gradient: str = eqx.field(static=True, default="reverse")

    def __check_init__(self):
        for name in ("rtol", "atol", "dtmax"):
            value = getattr(self, name)
            if isinstance(value, float | int) and not value > 0:
                raise ValueError(
                    f"Argument `{name}` must be positive, but is {name}={value}; use e.g. 1e-6 for tolerances."
                )
        if not isinstance(self.solver, diffrax.AbstractAdaptiveSolver):
            raise ValueError(
                f"Argument `solver` must estimate its error, but {type(self.solver).__name__} does not; "
                "use e.g. diffrax.Tsit5(), or FixedStep(dt, solver=...)."
            )
        if self.gradient not in ("reverse", "forward"):
            raise ValueError(
                f'Argument `gradient` must be "reverse" or "forward", but is {self.gradient!r}; choose one.'
            )

    def check(self, model: AbstractModel, grid: TimeGrid) -> None:
        """Refuse models that reset."""
        if isinstance(model, AbstractSpikingModel):
            raise ValueError(
                f"Argument `solver` must be able to reset, but is Adaptive for {type(model).__name__}, whose spikes or "
                "delays end a smooth solution; use ExactSpikes(dt)."
            )

    def integrate(
        self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, max_spikes: int
    ) -> Trajectory:
        """Run by diffeqsolve; also keeps every accepted step to find the spikes."""
        dtype = jnp.result_type(float)
        controller = diffrax.PIDController(rtol=self.rtol, atol=self.atol, dtmax=self.dtmax)
        if stimulus.jump_ts.size:  # an empty array raises inside diffrax
            controller = diffrax.ClipStepSizeController(controller, jump_ts=stimulus.jump_ts.astype(dtype))
        every_step = diffrax.SubSaveAt(t0=True, steps=True)
        at_times = diffrax.SubSaveAt(ts=jnp.asarray(grid.save_ts, dtype))
        solution = diffrax.diffeqsolve(
            ModelTerm(model),
            self.solver,
            jnp.asarray(grid.t0, dtype),
            jnp.asarray(grid.t1, dtype),
            dt0=None,
            y0=y0,
            args=stimulus,
            saveat=diffrax.SaveAt(subs=[at_times, every_step]),
            stepsize_controller=controller,
            adjoint=diffrax.ForwardMode() if self.gradient == "forward" else diffrax.RecursiveCheckpointAdjoint(),
            max_steps=self.max_steps or max(4096, int(200 * (grid.t1 - grid.t0))),
            throw=False,
        )
        (_, step_ts), (ys, step_ys) = solution.ts, solution.ys
        spikes, count = smooth_spikes(model, stimulus, step_ts, step_ys, max_spikes)
        is_finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf[-1])) for leaf in jax.tree.leaves(ys)]))
        has_failed = solution.result != diffrax.RESULTS.successful
        result = first_failure(
            (has_failed, RESULTS.max_steps_reached),
            (~is_finite, RESULTS.nonfinite),
            (count > max_spikes, RESULTS.max_spikes_reached),
        )
        stats = {"n_steps": solution.stats["num_steps"], "n_rejected": solution.stats["num_rejected_steps"]}
        return Trajectory(ys, spikes, result, stats)
