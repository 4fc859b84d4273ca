"""Integrate-and-fire neurons solved by others: diffrax between events, and scipy with the voltage as clock."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from scipy.integrate import solve_ivp

from jaxneuro import AdEx
from jaxneuro.models import AbstractSpikingModel


def diffrax_spikes(model: AbstractSpikingModel, i_app: Any, t1: float, n: int) -> jax.Array:
    """First n spikes [ms] at a constant input: a loop of `diffeqsolve` with an event, differentiable.

    Starts below threshold. A run that is over goes on from t1 to t1 + 1 without spikes: an empty interval would make
    every derivative NaN.
    """
    term = diffrax.ODETerm(lambda t, y, args: args[0].dynamics(y, args[1]))
    held = diffrax.ODETerm(lambda t, y, args: args[0].dynamics(y, args[1])._replace(V=jnp.zeros_like(y.V)))
    event = diffrax.Event(
        lambda t, y, args, **_: args[0].gap(y), optx.Newton(1e-11, 1e-11, norm=optx.rms_norm), direction=True
    )
    controller = diffrax.PIDController(rtol=1e-11, atol=1e-11, dtmax=0.5)
    args = (model, jnp.asarray(i_app))

    def solve(term: Any, y: Any, start: Any, end: Any, event: Any) -> Any:
        return diffrax.diffeqsolve(
            term,
            diffrax.Tsit5(scan_kind="lax" if event is None else None),
            start,
            end,
            None,
            y,
            args,
            stepsize_controller=controller,
            event=event,
            max_steps=2048,
            adjoint=diffrax.ForwardMode(),
            throw=False,
        )

    def after(carry: tuple, _: None) -> tuple[tuple, Any]:
        y, t = carry
        is_over = t >= t1
        start = jnp.where(is_over, t1, t)
        run = solve(term, y, start, jnp.where(is_over, t1 + 1.0, t1), event)
        has_spiked = run.event_mask & ~is_over
        y = jax.tree.map(lambda leaf: leaf[-1], run.ys)
        spike = jnp.where(has_spiked, run.ts[-1], jnp.inf)
        y = model.reset(y, jnp.where(has_spiked, 1.0, 0.0))
        begin = jnp.where(has_spiked, run.ts[-1], 0.0)
        rest = solve(held, y, begin, begin + jnp.maximum(model.t_ref, 1e-6), None)
        y = jax.tree.map(lambda a, b: jnp.where(model.t_ref > 0, a[-1], b), rest.ys, y)
        return (y, jnp.where(has_spiked, run.ts[-1] + model.t_ref, t1)), spike

    start = (model.init_state(), jnp.zeros(()))
    return jax.lax.scan(after, start, None, length=n)[1]


def adex_spikes(model: AdEx, i_app: float, t1: float) -> np.ndarray:
    """Spikes [ms] of an AdEx to 1e-10 ms: DOP853 in time below V_T + 2 Delta_T, and from there in V, in which the
    upstroke has no singularity: dt/dV = 1 / V', dw/dV = w' / V'."""
    p = {name: float(getattr(model, name)) for name in vars(model) if name not in ("spike_threshold",)}
    switch = min(p["V_T"] + 2 * p["Delta_T"], p["V_peak"])

    def slopes(V: float, w: float) -> tuple[float, float]:
        sharp = p["g_L"] * p["Delta_T"] * np.exp((V - p["V_T"]) / p["Delta_T"])
        dV = (-p["g_L"] * (V - p["E_L"]) + sharp - w + i_app) / p["C_m"]
        return dV, (p["a"] * (V - p["E_L"]) - w) / p["tau_w"]

    def crossing(_: float, y: np.ndarray) -> float:
        return y[0] - switch

    def in_voltage(V: float, y: np.ndarray) -> list[float]:
        dV, dw = slopes(V, y[1])
        return [1 / dV, dw / dV]

    crossing.terminal, crossing.direction = True, 1
    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-13}
    t, V, w, spikes = 0.0, p["E_L"], 0.0, []
    while t < t1:
        run = solve_ivp(lambda _, y: slopes(*y), (t, t1), [V, w], events=crossing, max_step=0.2, **options)
        if not run.t_events[0].size:
            break
        # from the last step before the event, whose state is not interpolated, and from where V rises
        t, V, w = run.t[-2], *run.y[:, -2]
        assert slopes(V, w)[0] > 0
        t, w = solve_ivp(in_voltage, (V, p["V_peak"]), [t, w], **options).y[:, -1]
        spikes.append(t)
        V, w = p["V_reset"], w + p["b"]
        w_held = p["a"] * (V - p["E_L"])
        t, w = t + p["t_ref"], w_held + (w - w_held) * np.exp(-p["t_ref"] / p["tau_w"])
    return np.array(spikes)
