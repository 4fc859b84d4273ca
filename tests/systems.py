"""Systems with known solutions and known derivatives, written without the library's own formulas."""

from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from scipy.integrate import solve_ivp

from jaxneuro import LIF, FitzHughNagumo, Leak, Membrane, Ramp, Sine, Step

PASSIVE = Membrane(channels={"leak": Leak(g_max=0.2, E_rev=-70.0)}, C_m=0.9, V_init=-60.0)

PASSIVE_INPUTS = {
    "step": Step(amplitude=2.0, onset=2.03, duration=5.11),
    "ramp": Ramp(start=-1.0, stop=3.0, onset=1.27, duration=6.4),
    "sine": Sine(amplitude=3.0, frequency=120.0, offset=0.5, phase=0.7),
}


def passive_voltage(model: Membrane, stimulus: Any, ts: jax.Array) -> jax.Array:
    """Exact V(t) [mV] of a leaky membrane, differentiable in every parameter: C dV/dt = i - g (V - E).

    The response to a line a + b s that begins at s = 0 is R [(a - b tau)(1 - e^{-s/tau}) + b s].
    """
    leak = model.channels["leak"]
    R, tau = 1 / leak.g_max, model.C_m / leak.g_max
    free = leak.E_rev + (model.V_init - leak.E_rev) * jnp.exp(-ts / tau)

    def line(s: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        s = jnp.maximum(s, 0.0)
        return R * ((a - b * tau) * -jnp.expm1(-s / tau) + b * s)

    s = ts - stimulus.onset
    if isinstance(stimulus, Step):
        end = s - stimulus.duration
        return free + line(s, stimulus.amplitude, 0.0) - line(end, stimulus.amplitude, 0.0)
    if isinstance(stimulus, Ramp):
        slope, end = (stimulus.stop - stimulus.start) / stimulus.duration, s - stimulus.duration
        return free + line(s, stimulus.start, slope) - line(end, stimulus.stop, slope)
    assert isinstance(stimulus, Sine)
    w = 2e-3 * jnp.pi * stimulus.frequency

    def swing(s: jax.Array) -> jax.Array:
        return jnp.sin(w * s + stimulus.phase) - w * tau * jnp.cos(w * s + stimulus.phase)

    gain = R * stimulus.amplitude / (1 + (w * tau) ** 2)
    swung = gain * (swing(s) - swing(jnp.zeros(())) * jnp.exp(-s / tau))
    return free + line(s, stimulus.offset, 0.0) + swung


def lif_period(model: LIF, i_app: float) -> float:
    """Interval between spikes [ms] at a constant current [nA], without adaptation."""
    mu = model.E_L + model.R_m * i_app
    return model.t_ref + model.tau_m * jnp.log((mu - model.V_reset) / (mu - model.V_th))


def lif_period_derivatives(model: LIF, i_app: float) -> dict[str, float]:
    """Derivatives of the period by hand; "i_app i_app" is the second one in the current."""
    tau, R = float(model.tau_m), float(model.R_m)
    from_reset = float(model.E_L + R * i_app - model.V_reset)
    from_threshold = float(model.E_L + R * i_app - model.V_th)
    change = 1 / from_reset - 1 / from_threshold
    return {
        "i_app": tau * R * change,
        "V_th": tau / from_threshold,
        "tau_m": np.log(from_reset / from_threshold),
        "V_reset": -tau / from_reset,
        "t_ref": 1.0,
        "R_m": tau * i_app * change,
        "E_L": tau * change,
        "i_app i_app": tau * R**2 * (1 / from_threshold**2 - 1 / from_reset**2),
    }


def lif_spike_times(model: LIF, i_app: float, n: int) -> np.ndarray:
    """First n spikes [ms] of a neuron that starts at E_L: the first has no refractory time before it."""
    mu = float(model.E_L + model.R_m * i_app)
    first = float(model.tau_m) * np.log((mu - float(model.E_L)) / (mu - float(model.V_th)))
    return first + float(lif_period(model, i_app)) * np.arange(n)


def adapting_lif_spikes(model: LIF, i_app: float, t1: float, y0: tuple[float, float]) -> np.ndarray:
    """Spikes [ms] by an ODE solver that knows no closed form, its event location and its restarts."""
    p = {name: float(getattr(model, name)) for name in vars(model)}
    y, t, spikes = np.array(y0), 0.0, []

    def moving(_: float, y: np.ndarray) -> list[float]:
        return [(p["E_L"] - y[0] + p["R_m"] * (i_app - y[1])) / p["tau_m"], -y[1] / p["tau_w"]]

    def held(_: float, y: np.ndarray) -> list[float]:
        return [0.0, -y[1] / p["tau_w"]]

    def gap(_: float, y: np.ndarray) -> float:
        return y[0] - p["V_th"]

    gap.terminal, gap.direction = True, 1
    options = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-13, "max_step": 0.5}
    while t < t1:
        run = solve_ivp(moving, (t, t1), y, events=gap, **options)
        if not run.t_events[0].size:
            break
        t, y = run.t_events[0][0], run.y_events[0][0]
        spikes.append(t)
        y = np.array([p["V_reset"], y[1] + p["b_w"]])
        if p["t_ref"] > 0 and t < t1:
            end = t + p["t_ref"]
            y, t = solve_ivp(held, (t, end), y, **options).y[:, -1], end
    return np.array(spikes)


ADAPTING = ("tau_m", "R_m", "E_L", "V_th", "V_reset", "t_ref", "b_w", "tau_w", "i_app")


def exact_adapting_spikes(p: dict[str, Any], guesses: np.ndarray) -> list[Any]:
    """The same spikes to 40 digits, from E_L and w = 0, for any parameters near those of `guesses`."""
    V, w, start, spikes = p["E_L"], mpmath.mpf(0), mpmath.mpf(0), []
    a, b = 1 / p["tau_w"], 1 / p["tau_m"]
    mu = p["E_L"] + p["R_m"] * p["i_app"]
    for guess in guesses:

        def gap(t: Any, V: Any = V, w: Any = w, start: Any = start) -> Any:
            s = t - start
            pull = s * mpmath.exp(-b * s)
            if a != b:
                pull = (mpmath.exp(-a * s) - mpmath.exp(-b * s)) / (b - a)
            return mu + (V - mu) * mpmath.exp(-b * s) - p["R_m"] * w * b * pull - p["V_th"]

        t = mpmath.findroot(gap, mpmath.mpf(float(guess)))
        spikes.append(t)
        w = (w * mpmath.exp(-a * (t - start)) + p["b_w"]) * mpmath.exp(-a * p["t_ref"])
        V, start = p["V_reset"], t + p["t_ref"]
    return spikes


def adapting_spike_derivatives(model: LIF, i_app: float, spikes: np.ndarray) -> dict[str, np.ndarray]:
    """d spikes / d parameter, by central differences of 1e-15 in 60 digits: exact in float64."""
    with mpmath.workdps(60):
        p = {name: mpmath.mpf(float(getattr(model, name))) for name in ADAPTING[:-1]}
        p["i_app"] = mpmath.mpf(i_app)
        h = mpmath.mpf(10) ** -15
        found = {}
        for name in ADAPTING:
            high, low = ({**p, name: p[name] + side * h} for side in (1, -1))
            pairs = zip(*(exact_adapting_spikes(q, spikes) for q in (high, low)), strict=True)
            found[name] = np.array([float((up - down) / (2 * h)) for up, down in pairs])
    return found


def fhn_linearised(model: FitzHughNagumo, i_app: float, V: float, delta: np.ndarray, t: float):
    """State a time t after a small displacement `delta` from the fixed point (V, w), to first order."""
    b, tau = float(model.b), float(model.tau)
    jacobian = np.array([[1 - V**2, -1.0], [1 / tau, -b / tau]])
    values, vectors = np.linalg.eig(jacobian)
    moved = (vectors * np.exp(values * t)) @ np.linalg.solve(vectors, delta)
    return np.array([V, V - V**3 / 3 + i_app]) + moved.real
