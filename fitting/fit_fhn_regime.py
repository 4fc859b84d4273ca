"""Fit a FitzHugh-Nagumo neuron that fires, beginning in other dynamical regimes, and redraw its bifurcation diagram.

The data are made here: V at one current at which the neuron fires periodically, solved to 1e-9 and sampled every 0.1,
with white noise of 0.2, a 20th of the spikes' height. The fits begin where the model cannot fire so: excitable (at rest
at this current, with a Hopf bifurcation above it), or bistable (without a Hopf bifurcation at any current). They are
judged by what they have not seen: Hopf currents, limit cycles and periods at other currents. Free are a, b, tau and the
state at the start; the current must be known, as (i, w, a) and (i + c, w + c, a + b c) have the same V. All is
dimensionless: the library's ms and mV are the model's units of time and V.

Example: python fitting/fit_fhn_regime.py --starts 12 --out fhn-regime

References: Moye & Diekman (2018), J Math Neurosci 8:10. doi:10.1186/s13408-018-0066-8 (asked so of Morris-Lecar)
"""

import argparse
import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from jaxneuro import Constant, FitzHughNagumo, FixedStep, params, simulate
from jaxneuro.fitters import FitResult, VoltageTrace, fit
from jaxneuro.solvers import RK4, Adaptive

TRUE = {"a": 0.7, "b": 0.8, "tau": 12.5}
FREE = {"a": (0.0, 2.0), "b": (0.1, 5.0), "tau": (2.0, 60.0), "V_init": (-3.0, 3.0), "w_init": (-2.0, 3.0)}
CURRENT, DT, NOISE = 0.5, 0.1, 0.2
OTHER_CURRENTS, CURRENTS = np.array([0.4, 0.7, 1.0, 1.3]), np.linspace(-0.5, 2.0, 201)  # of periods, of diagrams
NAMES = ("Start, excitable", "Start, bistable", "Fit")
NEAR = 1.02  # times the noise: up to this root mean square error a fit is at the global optimum


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=12, help="starts in each of the two regimes [1]")
    parser.add_argument("--strategy", default="auto", choices=["auto", "descent", "newton"], help="of fit")
    parser.add_argument("--seed", type=int, default=0, help="seed of noise and starts [1]")
    parser.add_argument("--out", type=Path, default=Path("fit-fhn-regime"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="half the trace and two starts in each regime")
    return parser.parse_args()


def hopf(values: dict[str, float]) -> jax.Array:
    """The currents at which the fixed points at V = -+ sqrt(1 - b / tau) change their stability, NaN if there are none:
    there the trace of the Jacobian is 0, and its determinant above 0 if b^2 < tau. With b < 1 there is one fixed point,
    unstable between the two."""
    a, b, tau = values["a"], values["b"], values["tau"]
    V = jnp.where(b**2 < tau, jnp.sqrt(1 - b / tau), jnp.nan) * jnp.array([-1.0, 1.0])
    return (V + a) / b - V + V**3 / 3


def regime(values: dict[str, float]) -> str:
    low, high = hopf(values)
    if values["b"] > 1:
        return "bistable" if np.isnan(low) else "other"
    return "oscillating" if low < CURRENT < high else "excitable" if CURRENT < low else "other"


def starts_in(wanted: str, n: int, rng: np.random.Generator) -> list[dict[str, float]]:
    """Values of a, b and tau over their bounds, of those in a regime."""
    found = []
    while len(found) < n:
        tried = {"a": rng.uniform(0.0, 2.0), "b": 5 * 50 ** -rng.random(), "tau": 60 * 30 ** -rng.random()}
        found += [tried] if regime(tried) == wanted else []
    return found


def hopf_std(result: FitResult) -> np.ndarray:
    """Standard deviations of both Hopf currents, from the covariance of the parameters."""
    slopes = jax.jacfwd(hopf)(result.values)
    J = np.stack([slopes[name] * result.values[name] for name in result.sensitivity.determined], axis=1)
    return np.sqrt(np.diag(J @ result.sensitivity.covariance @ J.T))  # a covariance of relative changes


@eqx.filter_jit
def cycles(model: FitzHughNagumo, currents: jax.Array) -> jax.Array:
    """Lowest and highest V and period of the stable limit cycle at each current, shape (3, n), NaN without one.

    That is the last half of runs of 1000 from two states, since a cycle and rest may coexist.
    """

    def late(current: jax.Array, V: jax.Array) -> jax.Array:
        y0, solver = model.init_state()._replace(V=V), FixedStep(0.05, solver=RK4())
        run = simulate(model, Constant(current), t1=1000.0, y0=y0, dt_save=0.1, solver=solver, max_spikes=256)
        V, times = run.voltage[run.voltage.size // 2 :], run.spike_times
        times = jnp.where(jnp.isfinite(times) & (times > 500.0), times, jnp.nan)
        period = (jnp.nanmax(times) - jnp.nanmin(times)) / (jnp.sum(jnp.isfinite(times)) - 1)
        return jnp.where(V.max() - V.min() > 0.2, jnp.array([V.min(), V.max(), period]), jnp.nan)  # less decays still

    ends = jax.vmap(jax.vmap(late, (0, None)), (None, 0))(currents, jnp.array([-2.5, 2.5]))
    return jnp.stack([jnp.nanmin(ends[..., 0], axis=0), *jnp.nanmax(ends[..., 1:], axis=0).T])


def draw_diagram(ax: plt.Axes, values: dict[str, float]) -> None:
    """Fixed points, lowest and highest V of the stable limit cycle, and Hopf bifurcations, over the current."""
    model = params.replace(FitzHughNagumo(), values)
    V = jnp.linspace(-2.5, 2.5, 5001)
    w, state = (V + model.a) / model.b, type(model.init_state())
    current = w - V + V**3 / 3
    jacobian = jax.vmap(jax.jacfwd(lambda y: jnp.stack(model.dynamics(state(*y), 0.0))))
    is_stable = np.all(np.linalg.eigvals(jacobian(jnp.stack([V, w], axis=1))).real < 0, axis=1)
    ax.plot(current, np.where(is_stable, V, np.nan), color="black", linewidth=1.4, label="Stable fixed point")
    ax.plot(current, np.where(is_stable, np.nan, V), ":", color="black", linewidth=1.4, label="Unstable fixed point")
    swings = cycles(model, CURRENTS)[:2]
    ax.plot(CURRENTS, swings.T, color="#0072b2", linewidth=1.4, label=["Ends of the stable limit cycle", None])
    places = np.sqrt(np.maximum(1 - values["b"] / values["tau"], 0)) * np.array([-1, 1])
    ax.plot(hopf(values), places, "o", color="#d55e00", markersize=4, zorder=3, label="Hopf bifurcation")


def draw(target: VoltageTrace, began: list[dict[str, float]], result: FitResult) -> plt.Figure:
    figure = plt.figure(figsize=(11.0, 6.0), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.0, 1.5])
    ax = top.subplots()
    ax.plot(target.ts, target.voltage, ".", color="#999999", markersize=1.5, label="Data")
    for values, color, name in zip([*began, result.values], ("#e69f00", "#009e73", "#c03028"), NAMES, strict=True):
        V = target.predict(params.replace(FitzHughNagumo(), values), result.solver).voltage
        ax.plot(target.ts, V, color=color, linewidth=1.2, label=name)
    ax.set(xlabel="Time (dimensionless)", ylabel="V (dimensionless)", xlim=(0.0, min(target.t1, 200.0)))
    top.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False, markerscale=6)
    axes = bottom.subplots(1, 4, sharex=True, sharey=True)
    for ax, values, name in zip(axes, [TRUE, *began, result.values], ["Truth", *NAMES], strict=True):
        for line, label in zip(axes[0].lines, ("Truth", None, None, None), strict=False) if name == "Fit" else ():
            ax.plot(*line.get_data(), color="#dddddd", linewidth=6, zorder=0, label=label)
        draw_diagram(ax, values)
        ax.axvline(CURRENT, color="#bbbbbb", linewidth=0.8, zorder=0, label="Current of the data")
        title = f"{name}\na = {values['a']:.2f}, b = {values['b']:.2f}, \u03c4 = {values['tau']:.1f}"
        ax.set(xlabel="Current (dimensionless)", xlim=CURRENTS[[0, -1]], ylim=(-2.4, 2.4))
        ax.set_title(title, fontsize=10)
    axes[0].set_ylabel("V (dimensionless)")
    bottom.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    for ax in (*top.axes, *bottom.axes):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def shown(values: dict[str, float]) -> str:
    low, high = hopf(values)
    found = "no Hopf bifurcation" if np.isnan(low) else f"Hopf currents {low:.3f}, {high:.3f}"
    return f"{regime(values):11} " + ", ".join(f"{name} {values[name]:.3g}" for name in TRUE) + f", {found}"


def report(began: list[dict[str, float]], results: list[FitResult], best: FitResult) -> dict:
    """Prints what the starts became, and how well the best one knows the bifurcations and the periods; its numbers."""
    is_right, rmse = np.array([(regime(r.values) == "oscillating", np.sqrt(r.loss)) for r in results]).T
    print(f"Truth {shown(TRUE)}")
    for start, result, error in zip(began, results, rmse, strict=True):
        print(f"Start {shown(start)}\n  fit {shown(result.values)}, error {error:.3f}")
    numbers = {"rmse": rmse.tolist(), "starts": began, "fits": [r.values for r in results]}
    for name in ("excitable", "bistable"):
        own = np.array([regime(start) == name for start in began])
        counts = [int(np.sum(good[own])) for good in (is_right, rmse <= NEAR * NOISE)]
        numbers[name] = dict(zip(("right_regime", "global_optimum"), counts, strict=True))
        print(f"{name}: of {own.sum()} starts {counts[0]} end in the right regime, {counts[1]} at the global optimum")
    print(best.table())
    if regime(best.values) != "oscillating":
        return numbers
    sigmas = {name: (p.value - p.true) / p.std for name, p in best.params.items() if p.std}
    print("off by", ", ".join(f"{name} {x:+.2f}" for name, x in sigmas.items()), "standard deviations (Cramer-Rao)")
    columns = hopf(TRUE).tolist(), hopf(best.values).tolist(), hopf_std(best).tolist()
    for true, fitted, std in zip(*columns, strict=True):
        print(f"Hopf bifurcation at the current {true:.4f}, fit {fitted:.4f} +- {std:.4f}")
    periods = [cycles(model, OTHER_CURRENTS)[2].tolist() for model in (FitzHughNagumo(**TRUE), best.model)]
    for current, true, fitted in zip(OTHER_CURRENTS, *periods, strict=True):
        error = 100 * (fitted / true - 1)
        print(f"period at the current {current:g}, not in the data: {true:.3f}, fit {fitted:.3f} ({error:+.2f} %)")
    return numbers | {"sigmas": sigmas, "hopf_true_fit_std": columns, "periods_true_fit": periods}


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    t1, n = (200.0, 2) if options.quick else (400.0, options.starts)
    rng = np.random.default_rng(options.seed)
    V = simulate(FitzHughNagumo(**TRUE), CURRENT, t1=t1, dt_save=DT, solver=Adaptive(rtol=1e-9, atol=1e-9)).voltage
    target = VoltageTrace(DT, V + NOISE * rng.normal(size=V.shape), CURRENT)
    init = {"V_init": float(target.voltage[0]), "w_init": 0.0}
    began = [start | init for start in starts_in("excitable", n, rng) + starts_in("bistable", n, rng)]
    fixed = {"free": FREE, "n_starts": 1, "strategy": options.strategy, "progress": False}
    # one by one, so that each is counted and ends by itself
    results = [fit(FitzHughNagumo(), target, start=start, **fixed) for start in began]
    true = {name: float(params.get(FitzHughNagumo(**TRUE), name)) for name in FREE}
    best = min(results, key=lambda result: result.loss).compare(true)
    numbers = report(began, results, best)
    n_runs = sum(stage.n_simulations for result in results for stage in result.stages) / len(results)
    print(f"{n_runs:.0f} simulations for a start on average, {sum(r.seconds for r in results):.1f} s for all")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(json.dumps(numbers, indent=2) + "\n")
    best.save(options.out / "fit.json")
    # shown of each regime: of the starts that find the optimum, one whose bifurcation the figure shows well apart
    rank = {k: (results[k].loss > (NEAR * NOISE) ** 2, abs(hopf(began[k])[0] - 1.25)) for k in range(2 * n)}
    pair = [began[min(range(k, k + n), key=rank.get)] for k in (0, n)]
    draw(target, pair, best).savefig(options.out / "fit.png", dpi=150)


if __name__ == "__main__":
    main()
