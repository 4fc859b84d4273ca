"""How long compiling takes, that it does not grow with the work, and that a second call does none."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.monitoring

import jaxneuro as jn
from speed import ours
from speed.cases import CASES
from speed.gradients import STEPPERS, lane_loss
from speed.rows import Row, Settings

__all__ = ["measure"]

_EVENT = "/jax/core/compile/backend_compile_duration"


class _Compilations:
    """Counts what the backend compiles from now on."""

    def __init__(self):
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._hear)

    def _hear(self, event: str, duration: float, **kwargs: Any) -> None:
        self.count += event == _EVENT

    def during(self, run: Callable[[], Any]) -> int:
        """How many compilations one call causes."""
        before = self.count
        run()
        return self.count - before


def measure(settings: Settings) -> list[Row]:
    """Seconds to compile a sweep (small and large) and a gradient, and compilations of second calls."""
    case, counter = CASES["hh"], _Compilations()

    def swept(n: int, steps: int, **changes: Any) -> Callable[[], Any]:
        solver = changes.get("solver", ours.stepper(case, "strang"))
        return lambda: ours.sweep(case, case.values(n), solver, t1=steps * case.dt)

    # whatever numpy-like operations a sweep does around its loop are compiled here, by a loop that is not measured
    for n in (128, 10_240):
        swept(n, 100, solver=ours.stepper(case, "rk4"))()
    small, large = _compile_seconds(swept(128, 200)), _compile_seconds(swept(10_240, 4000))
    rows = [
        _row(settings, "compile-forward", "HH Strang sweep: compile", 10_240, large, "s", "4000 steps"),
        _row(settings, "compile-flat", "the same / 128 lanes, 200 steps", 10_240, large / small, "x", f"{small:.2f} s"),
    ]
    for name, title in STEPPERS.items():
        gradient, lanes = jax.value_and_grad(lane_loss(name, 1000)), ours.as_lanes(case.values(1024))
        seconds = _compile_seconds(lambda g=gradient, v=lanes: jax.block_until_ready(jn.map_lanes(g, v)))
        label = f"HH {title} gradient: compile"
        rows.append(_row(settings, "compile-gradient", label, 1024, seconds, "s", "map_lanes, 1000 steps"))
    others = {name: 1.001 * value for name, value in lanes.items()}
    again = {
        "other parameter values": lambda: _changed_sweep(1.01, 10.0),
        "other stimulus amplitude": lambda: _changed_sweep(1.0, 11.0),
        "other bounds of the grid": lambda: _bounded_sweep(130.0),
        "other parameter values, gradient": lambda: jax.block_until_ready(jn.map_lanes(gradient, others)),
    }
    _changed_sweep(1.0, 10.0), _bounded_sweep(120.0)
    for what, run in again.items():
        count = counter.during(run)
        rows.append(_row(settings, "recompile", f"compilations, {what}", 256, count, "1", ""))
    return rows


def _row(settings: Settings, claim: str, label: str, n: int, value: float, unit: str, note: str) -> Row:
    return Row(claim=claim, label=label, precision=settings.precision, n=n, value=value, unit=unit, note=note)


def _compile_seconds(run: Callable[[], Any]) -> float:
    """CPU seconds of the first call beyond those of the second, or of a third if that is faster."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        run()
        spent.append(time.process_time() - began)
    return max(spent[0] - min(spent[1:]), 0.0)


def _changed_sweep(factor: float, amplitude: float) -> None:
    """256 lanes of a model and a stimulus whose values were replaced, at other values of the swept parameter."""
    case = CASES["hh"]
    model = jn.params.replace(jn.HodgkinHuxley(), {"k.g_max": factor * 36.0})
    grid = jn.zipped({"na.g_max": factor * case.values(256)["na.g_max"]})
    solver = ours.stepper(case, "strang")
    jn.sweep(model, jn.Constant(amplitude), grid, t1=5.0, solver=solver, progress=False, cores=1)


def _bounded_sweep(high: float) -> None:
    grid = jn.latin_hypercube({"na.g_max": (100.0, high), "stimulus.amplitude": (5.0, 0.1 * high)}, 256)
    solver = ours.stepper(CASES["hh"], "strang")
    jn.sweep(jn.HodgkinHuxley(), jn.Constant(10.0), grid, t1=5.0, solver=solver, progress=False, cores=1)
