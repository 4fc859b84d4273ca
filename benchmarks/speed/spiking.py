"""Exact spikes beside a loop of diffrax events and the grid with a surrogate; surrogate beside exact gradients."""

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx

import jaxneuro as jn
from jaxneuro.analysis.firing import isi_rate
from jaxneuro.surrogates import SURROGATES
from speed.compared import ratio_row
from speed.rows import Row, Settings

__all__ = ["measure", "measure_surrogates"]

_DT = 0.1  # ms
_TOLERANCE = 1e-6  # of diffrax: spike times to some 1e-5 ms
_POINTS, _DURATION, _SPIKES = 200, 200.0, 24  # of the f-I curve; the most spikes in it
_THETA = {"tau_m": 20.0, "V_th": -50.0, "t_ref": 2.0, "b_w": 0.01}


def _model(theta: dict[str, Any]) -> jn.LIF:
    return jn.params.replace(jn.LIF(tau_w=60.0), theta)


def measure(settings: Settings) -> list[Row]:
    """10,000 LIF neurons for 1 s, and an f-I curve with its gradient in four parameters."""
    n = 10_240 if settings.mode.name != "quick" else 1024
    return [_forward_row(settings, n, 1000.0), _grid_row(settings, n, 1000.0), *_gradient_rows(settings)]


def _forward_row(settings: Settings, n: int, t1: float) -> Row:
    currents = np.linspace(0.15, 0.6, n)
    most = int(_sweep(currents, t1, jn.ExactSpikes(_DT))["spike_count"].max()) + 1
    peer = jax.jit(jax.vmap(lambda i: jnp.sum(jnp.isfinite(_events(_model(_THETA), i, t1, most)))))
    ours_times = _exact_times(currents[:: n // 16], t1, most)
    their_times = jax.jit(jax.vmap(lambda i: _events(_model(_THETA), i, t1, most)))(currents[:: n // 16])
    both = np.isfinite(ours_times) & np.isfinite(their_times)
    return ratio_row(
        settings,
        lambda: _sweep(currents, t1, jn.ExactSpikes(_DT)),
        lambda: peer(currents).block_until_ready(),
        lane_steps=n * t1 / _DT,
        claim="spiking-forward",
        label=f"vmapped diffrax events / LIF exact spikes, dt {_DT:g}",
        n=n,
        note=f"up to {most - 1} spikes; they differ by {np.max(np.abs(ours_times - their_times)[both]):.1g} ms",
    )


def _grid_row(settings: Settings, n: int, t1: float) -> Row:
    currents = np.linspace(0.15, 0.6, n)
    return ratio_row(
        settings,
        lambda: _sweep(currents, t1, jn.ExactSpikes(_DT)),
        lambda: _sweep(currents, t1, jn.FixedStep(_DT, surrogate=jn.SuperSpike())),
        lane_steps=n * t1 / _DT,
        is_speedup=False,
        claim="spiking-grid",
        label=f"LIF exact spikes / spikes on the grid, dt {_DT:g}",
        n=n,
        note=f"{t1:g} ms",
    )


def _gradient_rows(settings: Settings) -> list[Row]:
    """d (mean of the squared rates) / d theta: ours in reverse mode, and diffrax in the cheaper of its modes."""
    currents = jnp.linspace(0.25, 0.7, _POINTS)
    theta = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in _THETA.items()}

    def exact(theta: dict[str, Any], i: Any) -> Any:
        run = jn.simulate(
            _model(theta),
            i,
            t1=_DURATION,
            dt_save=10.0,
            solver=jn.ExactSpikes(_DT),
            max_spikes=_SPIKES,
            throw=False,
        )
        return isi_rate(run.spike_times)

    def on_grid(theta: dict[str, Any], i: Any) -> Any:
        solver = jn.FixedStep(_DT, surrogate=jn.SuperSpike())
        run = jn.simulate(_model(theta), i, t1=_DURATION, dt_save=10.0, solver=solver, throw=False)
        return 1e3 / _DURATION * jnp.sum(run.spike_train)

    def events(theta: dict[str, Any], i: Any) -> Any:
        return isi_rate(_events(_model(theta), i, _DURATION, _SPIKES))

    def gradient(rate: Callable) -> Callable:
        loss = lambda theta: jnp.mean(jax.vmap(lambda i: rate(theta, i))(currents) ** 2)  # noqa: E731
        compiled = jax.jit(jax.grad(loss))
        return lambda: jax.block_until_ready(compiled(theta))

    ours, theirs = gradient(exact)(), gradient(events)()
    worst = max(abs(float(ours[name] / theirs[name]) - 1) for name in theta)
    pairs = {
        "diffrax events": ("spiking-gradient", events, True, f"gradients differ by {worst:.1g}"),
        "the surrogate": ("spiking-gradient-grid", on_grid, False, ""),
    }
    return [
        ratio_row(
            settings,
            gradient(exact),
            gradient(peer),
            lane_steps=_POINTS * _DURATION / _DT,
            is_speedup=is_speedup,
            claim=claim,
            label=f"f-I gradient: {name} / exact spikes" if is_speedup else f"f-I gradient: exact spikes / {name}",
            n=_POINTS,
            note=f"{_DURATION:g} ms, 4 parameters{', ' + note if note else ''}",
        )
        for name, (claim, peer, is_speedup, note) in pairs.items()
    ]


def measure_surrogates(settings: Settings) -> list[Row]:
    """Gradient of a spike count in the current: of every surrogate over the exact one of the rate."""
    model, i, t1 = jn.LIF(), jnp.asarray(0.35, jnp.result_type(float)), 200.0
    exact = jax.grad(lambda i: model.rate(i) * 1e-3 * t1)(i)

    def count(i: Any, solver: jn.FixedStep) -> Any:
        return jnp.sum(jn.simulate(model, i, t1=t1, solver=solver).spike_train)

    rows = []
    for name, kind in SURROGATES.items():
        for beta in (1.0, 10.0):
            for attach in (False, True):
                # a bump of area 1, as that of the true derivative; a straight-through estimator has none
                normalize = "peak" if name == "straight_through" else "area"
                solver = jn.FixedStep(0.1, surrogate=kind(beta=beta, normalize=normalize), attach_reset=attach)
                ratio = float(jax.jit(jax.grad(count), static_argnums=1)(i, solver) / exact)
                reset = "attached" if attach else "detached"
                label = f"d count / d I, {name}, beta {beta:g}/mV, reset {reset}"
                is_finite = abs(ratio) < 1e6
                refusal = "" if is_finite else "grows without bound"
                rows.append(
                    Row("surrogate", label, settings.precision, 1, ratio if is_finite else None, refusal=refusal)
                )
    return rows


def _sweep(currents: np.ndarray, t1: float, solver: Any) -> Any:
    grid = jn.product({"stimulus.amplitude": currents})
    options = {"keep": ("spike_count",), "progress": False, "cores": 1}
    return jn.sweep(_model(_THETA), jn.Constant(0.1), grid, t1=t1, solver=solver, **options)


def _exact_times(currents: np.ndarray, t1: float, n: int) -> np.ndarray:
    def run(i: Any) -> Any:
        return jn.simulate(_model(_THETA), i, t1=t1, solver=jn.ExactSpikes(_DT), max_spikes=n, throw=False).spike_times

    return np.asarray(jax.jit(jax.vmap(run))(currents))


def _events(model: jn.LIF, i_app: Any, t1: float, n: int) -> Any:
    """First n spikes by `diffeqsolve` up to an event, reset, closed form while refractory, and again; a lane that is
    over solves a dummy interval, since an empty one makes derivatives NaN."""
    term = diffrax.ODETerm(lambda t, y, args: args[0].dynamics(y, args[1]))
    root = optx.Newton(1e-6, 1e-6, norm=optx.rms_norm)
    event = diffrax.Event(lambda t, y, args, **_: args[0].gap(y), root, direction=True)
    controller = diffrax.PIDController(rtol=_TOLERANCE, atol=_TOLERANCE)

    def after(carry: tuple, _: None) -> tuple[tuple, Any]:
        y, t = carry
        is_over = t >= t1
        start, stop = jnp.where(is_over, t1, t), jnp.where(is_over, t1 + 1.0, t1)
        run = diffrax.diffeqsolve(
            term,
            diffrax.Tsit5(),
            start,
            stop,
            None,
            y,
            (model, i_app),
            stepsize_controller=controller,
            event=event,
            max_steps=256,
            throw=False,
        )
        has_spiked = run.event_mask & ~is_over
        y = model.reset(jax.tree.map(lambda leaf: leaf[-1], run.ys), jnp.where(has_spiked, 1.0, 0.0))
        y = model.flow(y, i_app, model.t_ref, is_held=True)
        time = jnp.where(has_spiked, run.ts[-1], 0.0)
        return (y, jnp.where(has_spiked, time + model.t_ref, t1)), jnp.where(has_spiked, time, jnp.inf)

    return jax.lax.scan(after, (model.init_state(), jnp.zeros_like(model.t_ref)), None, length=n)[1]
