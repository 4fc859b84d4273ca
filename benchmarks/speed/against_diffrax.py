"""Ours beside diffrax: vmapped Tsit5 at the same dt, one batched state at the same dt, vmapped adaptive Tsit5."""

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import jaxneuro as jn
from speed import ours
from speed.accuracy import crossings, worst_error
from speed.cases import CASES, N_ACCURACY, Case
from speed.compared import ratio_row
from speed.rows import Row, Settings

__all__ = ["measure", "measure_adaptive"]

_LARGE = 10_240
_KEPT = ("spike_count", "V_end")  # about the work of saving V at every tenth step
_TARGET_ERROR = 0.0003  # worst spike-time error at which adaptive runs are compared [ms]
# loosest first; beyond 1e-3 single lanes of diffrax stall in float32, and with them the batch
_TOLERANCES = tuple(10 ** (-k / 2) for k in range(6, 14))
_FINE = 0.005  # interval of the samples in which crossings are sought [ms]


def measure(settings: Settings) -> list[Row]:
    """Fixed steps: ours is RK4; diffrax saves V at every tenth step, ours counts spikes."""
    case = CASES[settings.pair.removeprefix("diffrax-")]
    reference = np.load(settings.reference)[case.name]
    solver = ours.stepper(case, "rk4")
    ours_error = worst_error(ours.spike_times(case, solver), reference, case.t1_accuracy)
    steps = round(case.t1_accuracy / case.dt)
    every_step = _fixed(case, steps, save_every=1)
    V = jax.jit(jax.vmap(every_step))(ours.as_lanes(case.values(N_ACCURACY)))
    times = crossings(case.dt * np.arange(1, steps + 1), V, case.threshold)
    errors = (ours_error, worst_error(times, reference, case.t1_accuracy))
    rows = [_vmapped_row(settings, case, n, errors) for n in settings.mode.sizes]
    if case.name == "hh":
        rows += _batched_rows(settings, case, errors)
    return rows


def _vmapped_row(settings: Settings, case: Case, n: int, errors: tuple[float, float]) -> Row:
    steps = case.steps[n] // 2 if n < _LARGE else min(case.steps[n] // 2, 1000)  # a second of diffrax is enough
    run, lanes = jax.jit(jax.vmap(_fixed(case, steps))), ours.as_lanes(case.values(n))
    return ratio_row(
        settings,
        lambda: ours.sweep(case, case.values(n), ours.stepper(case, "rk4"), t1=steps * case.dt, keep=_KEPT),
        lambda: run(lanes).block_until_ready(),
        lane_steps=n * steps,
        errors=errors,
        claim=f"diffrax-{case.name}",
        label=f"vmapped diffrax Tsit5 / {case.title} RK4, dt {case.dt:g}",
        n=n,
        series=f"{case.name}/diffrax",
        note=f"{steps} steps",
    )


def _batched_rows(settings: Settings, case: Case, errors: tuple[float, float]) -> list[Row]:
    """One diffeqsolve whose state holds all lanes, and the same in chunks that fit the cache."""
    steps, n = 1000, _LARGE
    solve, lanes = _fixed(case, steps), ours.as_lanes(case.values(n))
    chunked = {name: value.reshape(-1, settings.lanes) for name, value in lanes.items()}
    runs = {
        "one batched state": (jax.jit(solve), lanes),
        f"batched states of {settings.lanes}": (jax.jit(lambda chunks: jax.lax.map(solve, chunks)), chunked),
    }
    return [
        ratio_row(
            settings,
            lambda: ours.sweep(case, case.values(n), ours.stepper(case, "rk4"), t1=steps * case.dt, keep=_KEPT),
            lambda run=run, given=given: run(given).block_until_ready(),
            lane_steps=n * steps,
            errors=errors,
            claim="diffrax-batched",
            label=f"diffrax Tsit5, {name} / {case.title} RK4",
            n=n,
            note=f"{steps} steps; the fair best case of diffrax",
        )
        for name, (run, given) in runs.items()
    ]


def measure_adaptive(settings: Settings) -> list[Row]:
    """Adaptive Tsit5, each side at its loosest tolerance (half decades) that keeps every spike within 0.0003 ms."""
    case = CASES["hh"]
    reference = np.load(settings.reference)[case.name]
    values, t1 = case.values(N_ACCURACY), case.t1_accuracy
    ts = np.arange(round(t1 / _FINE) + 1) * _FINE
    fine = jax.jit(jax.vmap(_adaptive(case, ts), in_axes=(0, None)))

    def our_error(rtol: float) -> float:
        return worst_error(ours.spike_times(case, _our_adaptive(rtol)), reference, t1)

    def peer_error(rtol: float) -> float:
        V = fine(ours.as_lanes(values), jnp.asarray(rtol))
        return worst_error(crossings(ts, np.asarray(V), case.threshold), reference, t1)

    ours_rtol, ours_error = _loosest(our_error)
    peer_rtol, peer_error = _loosest(peer_error)
    t1 = 25.0
    run = jax.jit(jax.vmap(_adaptive(case, np.linspace(0, t1, 101)), in_axes=(0, None)))
    rows = []
    for n in (size for size in settings.mode.sizes if size in (100, _LARGE)):
        lanes = ours.as_lanes(case.values(n))
        rows.append(
            ratio_row(
                settings,
                lambda n=n: ours.sweep(case, case.values(n), _our_adaptive(ours_rtol), t1=t1),
                lambda lanes=lanes: run(lanes, jnp.asarray(peer_rtol)).block_until_ready(),
                lane_steps=n * t1 / case.dt,
                errors=(ours_error, peer_error),
                claim="diffrax-adaptive",
                label=f"diffrax, rtol {peer_rtol:.0e} / HH adaptive, rtol {ours_rtol:.0e}",
                n=n,
                note="equal error: each as loose as spikes within 0.0003 ms allow; atol = rtol / 100; ns per 0.025 ms",
            )
        )
    return rows


def _loosest(error: Callable[[float], float]) -> tuple[float, float]:
    """The first tolerance whose error is small enough, or the most accurate of all; and its error."""
    tried = []
    for rtol in _TOLERANCES:
        tried.append((error(rtol), rtol))
        if tried[-1][0] <= _TARGET_ERROR:
            break
    least, rtol = min(tried)
    return rtol, least


def _our_adaptive(rtol: float) -> jn.Adaptive:
    return jn.Adaptive(rtol=rtol, atol=0.01 * rtol)


def _problem(case: Case, values: dict[str, jax.Array]) -> tuple:
    """Term, start and input of one lane, or of a batch if the values have an axis: the model's own equations."""
    model = ours.model_of(case)
    amplitude = values["stimulus.amplitude"]
    if amplitude.ndim:
        lane = jax.vmap(lambda v: jn.params.replace(model, case.model_values(v)))(values)
        start = jax.vmap(lambda m: m.init_state())(lane)
        field = jax.vmap(lambda m, y, i: m.dynamics(y, i))
        return diffrax.ODETerm(lambda t, y, args: field(args[0], y, args[1])), start, (lane, amplitude)
    lane = jn.params.replace(model, case.model_values(values))
    return diffrax.ODETerm(lambda t, y, args: args[0].dynamics(y, args[1])), lane.init_state(), (lane, amplitude)


def _fixed(case: Case, steps: int, save_every: int = 10) -> Callable[[dict[str, jax.Array]], jax.Array]:
    """V at every tenth step of Tsit5 at constant steps."""

    def solve(values: dict[str, jax.Array]) -> jax.Array:
        term, start, args = _problem(case, values)
        solution = diffrax.diffeqsolve(
            term,
            diffrax.Tsit5(),
            0.0,
            steps * case.dt,
            dt0=case.dt,
            y0=start,
            args=args,
            saveat=diffrax.SaveAt(steps=save_every, fn=lambda t, y, args: y.V),
            max_steps=steps + 8,  # rounding may add a step
            throw=False,
        )
        return solution.ys[: steps // save_every]

    return solve


def _adaptive(case: Case, ts: np.ndarray) -> Callable[[dict[str, jax.Array], jax.Array], jax.Array]:
    """V at `ts` by adaptive Tsit5; its longest step is ours, 0.5 ms, without which diffrax may stall on HH."""

    def solve(values: dict[str, jax.Array], rtol: jax.Array) -> jax.Array:
        term, start, args = _problem(case, values)
        solution = diffrax.diffeqsolve(
            term,
            diffrax.Tsit5(),
            float(ts[0]),
            float(ts[-1]),
            dt0=None,
            y0=start,
            args=args,
            saveat=diffrax.SaveAt(ts=jnp.asarray(ts), fn=lambda t, y, args: y.V),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=0.01 * rtol, dtmax=0.5),
            max_steps=20_000,
            throw=False,
        )
        return solution.ys

    return solve
