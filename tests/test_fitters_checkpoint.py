"""A fit that goes on where it was killed."""

import functools
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from refusals import refused

from jaxneuro import FixedStep, Leak, Membrane, Step, simulate
from jaxneuro.fitters import VoltageTrace, fit

STIMULUS = Step(1.0, onset=2.0)
CELL = Membrane(channels={"leak": Leak(g_max=0.2, E_rev=-70.0)}, C_m=0.9, V_init=-70.0)
FREE = {"leak.g_max": (0.02, 2.0), "C_m": (0.3, 3.0)}


@functools.cache
def data() -> VoltageTrace:
    voltage = simulate(CELL, STIMULUS, t1=20.0, dt_save=0.1, solver=FixedStep(0.05)).voltage
    return VoltageTrace(0.1, voltage, STIMULUS)


def fitted(checkpoint, **options):
    options = {"free": FREE, "n_starts": 2, "steps": 40, "progress": False, "checkpoint_every": 0.0} | options
    return fit(CELL, data(), checkpoint=checkpoint, **options)


@pytest.mark.parametrize("options", [{"strategy": "nudging"}, {"strategy": "descent", "kept": 1}])
def test_fit_goes_on_from_its_checkpoint_to_the_last_bit(options, tmp_path, monkeypatch):
    """Interrupted after one chunk, in the first stage or a later one, and once more when it is over."""
    from jaxneuro.fitters.search import _stages

    path, calls, advance = tmp_path / "fit.checkpoint", [], _stages.advance
    whole = fitted(None, **options)

    def limited(problem, *args):
        calls.extend([args] * ("leak.E_rev" not in problem.names))  # which the passive fit has free
        if len(calls) == 2:
            raise KeyboardInterrupt
        return advance(problem, *args)

    monkeypatch.setattr(_stages, "advance", limited)
    for _ in range(10):
        calls.clear()
        result = fitted(path, **options)
        if not result.is_interrupted:
            break
    np.testing.assert_array_equal(result.history, whole.history)
    assert result.values == whole.values and result.loss == whole.loss
    assert [stage[:3] for stage in result.stages] == [stage[:3] for stage in whole.stages]
    calls.clear()
    assert fitted(path, **options).values == whole.values and not calls  # nothing left to do
    assert [file.name for file in tmp_path.iterdir()] == ["fit.checkpoint"]


@pytest.mark.slow
def test_killed_fit_ends_as_if_it_had_not_been_killed(tmp_path):
    code = """
        import sys, jax, numpy as np
        jax.config.update("jax_enable_x64", True)
        sys.path.insert(0, "tests")
        from test_fitters_checkpoint import fitted
        result = fitted(sys.argv[1], steps=3000, strategy="descent", polish=False)
        result.save(sys.argv[1] + ".json")
        np.save(sys.argv[1] + ".npy", result.history)
    """

    def started(name):
        command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / name)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert started("whole").wait(120) == 0
    killed, path = started("killed"), tmp_path / "killed"
    for _ in range(1200):
        if path.exists():
            break
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait(30) == -signal.SIGKILL and not (tmp_path / "killed.json").exists()
    assert started("killed").wait(120) == 0
    histories = [np.load(tmp_path / f"{name}.npy") for name in ("whole", "killed")]
    np.testing.assert_array_equal(*histories)
    assert len(histories[0]) == 3000


def test_checkpoint_of_another_fit_is_refused(tmp_path):
    path = tmp_path / "fit.checkpoint"
    fitted(path, steps=10)
    for options in ({"steps": 12}, {"seed": 1}, {"free": FREE | {"C_m": (0.3, 4.0)}}, {"solver": FixedStep(0.02)}):
        with refused("Checkpoint .* must be of this fit, .*name another, or delete this one"):
            fitted(path, **{"steps": 10} | options)
    path.write_text("something else")
    with refused("must be a checkpoint of a fit, but cannot be read"):
        fitted(path, steps=10)
    assert path.read_text() == "something else"
    with refused("`checkpoint` must lie in an existing folder"):
        fitted(tmp_path / "nowhere" / "fit.checkpoint", steps=10)


def test_population_goes_on_in_the_middle_to_the_last_bit(tmp_path, monkeypatch):
    """Killed or ended by Ctrl-C between two generations; none is simulated anew."""
    from jaxneuro.fitters.search import _population, _strategy

    monkeypatch.setattr(_strategy, "_WIDE", (0.4, 4))
    monkeypatch.setattr(_strategy, "_NARROW", (0.1, 3))
    path, calls, losses_at = tmp_path / "fit.checkpoint", [], _population.losses_at
    options = {"strategy": "population", "n_starts": 2, "steps": 10, "kept": 1}
    whole = fitted(None, **options)

    def limited(problem, u):
        calls.append(u.shape[0])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return losses_at(problem, u)

    monkeypatch.setattr(_population, "losses_at", limited)
    results = []
    for _ in range(6):
        calls.clear()
        results.append(fitted(path, **options))
        if not results[-1].ended:
            break
    assert results[0].ended == "Ctrl-C" and results[0].stages == () and results[0].loss < np.inf
    assert results[-1].values == whole.values and results[-1].loss == whole.loss
    assert [stage[:3] for stage in results[-1].stages] == [stage[:3] for stage in whole.stages]
    np.testing.assert_array_equal(results[-1].history, whole.history)
    # each call evaluates the middles anew, and never a generation that it has losses of
    assert len(results) == 4
