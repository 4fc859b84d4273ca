"""Speed of a Hodgkin-Huxley ensemble: our fixed steps beside vmapped diffrax, in one process.

    python benchmarks/run.py [--quick]

CPU time of this process, minimum of several runs, compilation apart. Only equally accurate runs are compared: the worst
first-spike error against an adaptive reference is printed first and must be below 0.02 ms.
"""

import argparse
import time
from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import jaxneuro as jn

T1, DT, ONSET = 20.0, 0.025, 1.0


def first_spikes(solver: jn.FixedStep | jn.Adaptive) -> Callable[[jax.Array], jax.Array]:
    """Time of the first spike [ms] at each amplitude [uA/cm^2], through `simulate`."""

    def one(amplitude: jax.Array) -> jax.Array:
        stimulus = jn.Step(amplitude, ONSET)
        return jn.simulate(jn.HodgkinHuxley(), stimulus, t1=T1, solver=solver, max_spikes=1, throw=False).spike_times[0]

    return jax.jit(jax.vmap(one))


def diffrax_first_spikes(amplitudes: jax.Array) -> jax.Array:
    """The same by vmapped diffrax: Tsit5 at constant steps, every step saved, linear interpolation at 0 mV."""
    model = jn.HodgkinHuxley()

    def one(amplitude: jax.Array) -> jax.Array:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(model.vector_field),
            diffrax.Tsit5(),
            0.0,
            T1,
            dt0=DT,
            y0=model.init_state(),
            args=jn.Step(amplitude, ONSET),
            saveat=diffrax.SaveAt(steps=True, fn=lambda t, y, args: y.V),
            max_steps=round(T1 / DT) + 2,
        )
        V, ts = solution.ys, solution.ts
        crosses = (V[:-1] < 0) & (V[1:] >= 0)
        k = jnp.argmax(crosses)
        return jnp.where(crosses[k], ts[k] - V[k] * (ts[k + 1] - ts[k]) / (V[k + 1] - V[k]), jnp.inf)

    return jax.vmap(one)(amplitudes)


def measure(run: Callable[[jax.Array], jax.Array], amplitudes: jax.Array, repeats: int) -> tuple[float, float]:
    """(seconds to compile and run once, least CPU seconds of a run)."""
    began = time.perf_counter()
    run(amplitudes).block_until_ready()
    first = time.perf_counter() - began
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run(amplitudes).block_until_ready()
        times.append(time.process_time() - began)
    return first, min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="256 instead of 2,048 neurons, 2 instead of 5 runs")
    quick = parser.parse_args().quick
    n, repeats = (256, 2) if quick else (2048, 5)
    amplitudes = jnp.linspace(8.0, 20.0, n)
    reference = first_spikes(jn.Adaptive(rtol=1e-6, atol=1e-6))(amplitudes[:: n // 16])
    runs = {
        "ExponentialStrang": first_spikes(jn.FixedStep(DT)),
        "RK4": first_spikes(jn.FixedStep(DT, solver=jn.RK4())),
        "vmapped diffrax Tsit5": jax.jit(diffrax_first_spikes),
    }
    steps = n * T1 / DT
    print(f"{n} neurons, dt {DT} ms, {T1:g} ms, {amplitudes.dtype}, jax {jax.__version__}, {jax.default_backend()}")
    print(f"{'':24} {'worst error [ms]':>16} {'first call [s]':>15} {'ns per step':>12} {'times diffrax':>14}")
    rows = {}
    for name, run in runs.items():
        first, least = measure(run, amplitudes, repeats)
        rows[name] = (float(np.max(np.abs(run(amplitudes)[:: n // 16] - reference))), first, least)
    slowest = rows["vmapped diffrax Tsit5"][2]
    for name, (error, first, least) in rows.items():
        ratio = f"{slowest / least:.1f}x faster" if error < 0.02 else "not as accurate"
        print(f"{name:24} {error:16.4f} {first:15.1f} {1e9 * least / steps:12.1f} {ratio:>14}")


if __name__ == "__main__":
    main()
