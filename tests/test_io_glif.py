"""GLIF neurons of the Allen Cell Types Database: they fire as the Allen SDK's, up to its steps; one sentence for bad
files."""

import copy
import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refusals import refused

from jaxneuro import ExactSpikes, SpikeCurrent, SpikeThreshold, Step, read_glif, simulate

LEVELS = (1, 2, 3, 4, 5)
SPIKE = {"a_spike": 0.0032535902423722033, "b_spike": 77.09248936287732}
FOLLOWING = {"a_voltage": 48.57016714302081, "b_voltage": 159.92306485451314}
TH_FACTOR = (1.8465829511239957, 2.0606535289697305, 1.1092388101121307, 1.11172110753512, 0.8108454272753538)


def config(level):
    """The neuron_config.json of cell 474637203 (Htr3a-Cre_NO152) in AllenInstitute/GLIF_Teeter_et_al_2018."""
    is_reset, has_asc = level in (2, 4, 5), level >= 3
    moves = {2: "spike_component", 4: "spike_component", 5: "three_components_exact"}.get(level, "inf")
    moved = SPIKE | (FOLLOWING if level == 5 else {"a_voltage": 0, "b_voltage": 0}) if is_reset else {}
    kept = {"a": 1.1875553519215383, "b": -0.01746470219669519} if is_reset else {}
    return {
        "type": "GLIF",
        "El": 0.0,
        "El_reference": -0.06692888132731122,
        "C": 5.974122556127248e-11,
        "R_input": 113224772.31723857 if has_asc else 111019003.43890007,
        "th_inf": 0.02500695720882018,
        "dt": 5e-05,
        "spike_cut_length": 56,
        "asc_tau_array": [0.3333333333333333, 0.01],
        "asc_amp_array": [-1.209661945253461e-11, -2.2298404030276979e-10],
        "coeffs": {"C": 1, "G": 1, "a": 1, "b": 1, "th_inf": TH_FACTOR[level - 1], "asc_amp_array": [1.0, 1.0]},
        "voltage_dynamics_method": {"name": "linear_forward_euler", "params": {}},
        "voltage_reset_method": {"name": "v_before" if is_reset else "zero", "params": kept},
        "AScurrent_dynamics_method": {"name": "exp" if has_asc else "none", "params": {}},
        "AScurrent_reset_method": {"name": "sum", "params": {"r": [1.0, 1.0]}}
        if has_asc
        else {"name": "none", "params": {}},
        "threshold_dynamics_method": {"name": moves, "params": moved},
        "threshold_reset_method": {"name": "three_components", "params": SPIKE}
        if is_reset
        else {"name": "inf", "params": {}},
        "init_voltage": 0.0,
        "init_threshold": 0.02500695720882018,
        "init_AScurrents": [0.0, 0.0],
        "th_adapt": None,
        "dt_multiplier": 10,
    }


# --- spikes ---

ONSET, END = 100.0, 900.0  # of 0.5 nA in a run of 1000 ms, the stimulus of all that follows
DT = 0.05  # ms; the files' own
# Number of spikes, the first six and the last, as samples of DT: what AllenSDK 1bdca3a itself gives,
# GlifNeuron.from_dict(config).run(current)["spike_time_steps"] for 20000 samples with 0.5e-9 A from 2000 to 17999.
SDK = {
    1: (54, [2235, 2527, 2819, 3111, 3403, 3695], 17711),
    2: (58, [2348, 2609, 2877, 3148, 3420, 3692], 17836),
    3: (42, [2090, 2311, 2573, 2848, 3131, 3422], 17882),
    4: (42, [2091, 2282, 2532, 2795, 3067, 3347], 17746),
    5: (42, [2065, 2253, 2501, 2763, 3034, 3314], 17590),
}


def sdk_steps(file, dt):
    """Samples of dt [ms] in which the SDK's rules give a spike."""
    h, cut = 1e-3 * dt, file["spike_cut_length"] * file["dt"]
    n_cut, on, off = round(cut / h), round(ONSET / dt), round(END / dt)
    c, g = file["coeffs"], file["coeffs"]["G"] / file["R_input"]
    C, th_inf = c["C"] * file["C"], c["th_inf"] * file["th_inf"]
    has_asc = file["AScurrent_dynamics_method"]["name"] == "exp"
    (tau_1, tau_2), (amp_1, amp_2) = file["asc_tau_array"], file["asc_amp_array"] if has_asc else (0.0, 0.0)
    gain, shift = (file["voltage_reset_method"]["params"].get(name, 0.0) for name in "ab")
    moved = file["threshold_dynamics_method"]["params"]
    jump, k_s = moved.get("a_spike", 0.0), moved.get("b_spike", 1.0)
    a, b = moved.get("a_voltage", 0.0), moved.get("b_voltage", 0.0) or 1.0
    decay_1, decay_2, decay_s, decay_v, decay_V = (math.exp(-h * x) for x in (1 / tau_1, 1 / tau_2, k_s, b, g / C))
    after_1, after_2, after_s = (math.exp(-cut * x) for x in (1 / tau_1, 1 / tau_2, k_s))
    V = I_1 = I_2 = th_s = th_v = 0.0
    found, i = [], 0
    while i < off + on:
        current = I_1 + I_2 + (0.5e-9 if on <= i < off else 0.0)
        V_inf = current / g
        follows, stays = a / (b - g / C) * (V - V_inf), a / b * V_inf
        th_v = follows * decay_V + (th_v - follows - stays) * decay_v + stays
        V += (current - g * V) * h / C
        th_s, I_1, I_2 = th_s * decay_s, I_1 * decay_1, I_2 * decay_2
        i += 1
        if V > th_inf + th_s + th_v:
            found.append(i - 1)
            V = gain * V + shift
            th_s, I_1, I_2 = th_s * after_s + jump, I_1 * after_1 + amp_1, I_2 * after_2 + amp_2
            i += n_cut
    return np.array(found)


def padded(model):
    """The same neuron with every part that a level can have, so that one program serves all levels."""
    currents = {name: model.currents.get(name, SpikeCurrent(0.0, 100.0)) for name in ("asc_1", "asc_2")}
    thresholds = {"spike": model.thresholds.get("spike", SpikeThreshold(0.0, 10.0))}
    return dataclasses.replace(model, currents=currents, thresholds=thresholds)


@pytest.fixture(scope="module")
def spikes():
    """Level -> spikes [ms]. The flow is a closed form, so the step only has to be shorter than t_ref."""

    def run(model):
        current = Step(0.5, ONSET, END - ONSET)
        return simulate(
            model, current, t1=1000.0, dt_save=1000.0, solver=ExactSpikes(0.5), max_spikes=64, throw=False
        ).spike_times

    models = jax.tree.map(lambda *x: jnp.stack(x), *(padded(read_glif(config(level))) for level in LEVELS))
    return {
        level: times[np.isfinite(times)] for level, times in zip(LEVELS, jax.jit(jax.vmap(run))(models), strict=True)
    }


def step_errors(times, model, dt):
    """How far the SDK's spikes may be off [ms]: forward Euler runs ahead by dt / (2 tau_m) of the time, and every spike
    waits for the end of its step."""
    return dt * (np.arange(1, times.size + 1) + (times - ONSET) / (2 * float(model.tau_m)))


@pytest.mark.parametrize("level", LEVELS)
def test_glif_rules_above_are_those_of_the_sdk(level):
    count, first, last = SDK[level]
    steps = sdk_steps(config(level), DT)
    assert (steps.size, [*steps[:6]], steps[-1]) == (count, first, last)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dt", [DT, DT / 64])
def test_glif_fires_as_the_sdk(level, dt, spikes):
    times = dt * (1 + sdk_steps(config(level), dt))
    assert times.size == spikes[level].size
    errors = np.abs(times - spikes[level])
    assert np.all(errors <= step_errors(times, read_glif(config(level)), dt))


# --- values ---


@pytest.mark.parametrize("level", LEVELS)
def test_read_glif_gives_a_level_its_parts(level):
    model = read_glif(config(level))
    assert set(model.currents) == ({"asc_1", "asc_2"} if level >= 3 else set())
    assert set(model.thresholds) == ({"spike"} if level in (2, 4, 5) else set())
    assert (model.a_V != 0) == (level == 5)
    assert (model.reset_gain, model.reset_drop) != (0, 0) or level in (1, 3)


def test_read_glif_converts_units():
    """R C = 113.2 MOhm 59.74 pF = 6.764 ms, and so on; what is given at the end of 2.8 ms is more at their start."""
    model = read_glif(config(5))
    values = {
        "tau_m": 6.764186,
        "R_m": 113.224772,
        "E_L": -66.928881,
        "V_th": -66.928881 + 0.810845427 * 25.006957,
        "t_ref": 2.8,
        "reset_gain": 1.187555352,
        "reset_drop": 17.464702,
        "a_V": 0.048570167,
        "b_V": 0.159923065,
    }
    for name, value in values.items():
        assert float(getattr(model, name)) == pytest.approx(value, rel=1e-6), name
    for name, tau, after in (("asc_1", 1000 / 3, -0.012096619), ("asc_2", 10.0, -0.222984040)):
        current = model.currents[name]
        assert float(current.tau) == pytest.approx(tau)
        assert float(current.jump) * math.exp(-2.8 / tau) == pytest.approx(after, rel=1e-7)
        assert current.keep == 1
    threshold = model.thresholds["spike"]
    assert float(threshold.tau) == pytest.approx(12.971432, rel=1e-6)
    assert float(threshold.jump) * math.exp(-2.8 / 12.971432) == pytest.approx(3.253590242, rel=1e-6)


@pytest.mark.parametrize(
    "coefficient, ratios",
    [
        ("C", {"tau_m": 2}),
        ("G", {"tau_m": 0.5, "R_m": 0.5}),
        ("a", {"a_V": 2}),
        ("b", {"b_V": 2}),
        ("th_inf", {"V_th": 2}),
        ("asc_amp_array", {"asc_1": 2, "asc_2": 2}),
        (None, {}),
    ],
)
def test_read_glif_multiplies_with_coefficients(coefficient, ratios):
    """V_th counts from rest. Those that a file lacks are 1."""

    def values(model):
        parts = {name: part.jump for name, part in model.currents.items()}
        fields = {name: getattr(model, name) for name in ("tau_m", "R_m", "a_V", "b_V", "t_ref", "reset_drop")}
        return parts | fields | {"V_th": model.V_th - model.E_L}

    plain = config(5) | {"coeffs": {}}
    twice = [2.0, 2.0] if coefficient == "asc_amp_array" else 2.0
    changed = plain | {"coeffs": {coefficient: twice}} if coefficient else config(5) | {"coeffs": {"th_inf": 1}}
    before, after = values(read_glif(plain)), values(read_glif(changed))
    for name, value in before.items():
        assert float(after[name]) == pytest.approx(ratios.get(name, 1) * float(value), rel=1e-12), name


def test_read_glif_counts_voltages_from_the_reference():
    """With El = 5 mV: resets and the threshold do not move with it."""
    for level, V_after in ((1, -66.928881), (4, -66.928881 + 1.187555352 * 20 - 17.464702)):
        model = read_glif(config(level) | {"El": 0.005})
        assert float(model.E_L) == pytest.approx(-61.928881)
        assert float(model.V_th) == pytest.approx(float(read_glif(config(level)).V_th))
        state = model.init_state()._replace(V=jnp.asarray(-66.928881 + 20))
        assert float(model.reset(state, jnp.ones(())).V) == pytest.approx(V_after)


def test_read_glif_keeps_the_share_r_of_a_current():
    file = config(3)
    file["AScurrent_reset_method"]["params"]["r"] = [0.25, 0.5]
    model = read_glif(file)
    assert [float(part.keep) for part in model.currents.values()] == [0.25, 0.5]


def test_read_glif_reads_files(tmp_path):
    path = tmp_path / "neuron_config.json"
    path.write_text(json.dumps(config(4)))
    found, wanted = read_glif(str(path)), read_glif(config(4))
    assert jax.tree.structure(found) == jax.tree.structure(wanted) == jax.tree.structure(read_glif(path))
    assert jax.tree.leaves(found) == jax.tree.leaves(wanted)


# --- refusals ---


def changed(level, *keys, value=None):
    """A config with another value at keys inside keys, or without the last key."""
    file = copy.deepcopy(config(level))
    part = file
    for key in keys[:-1]:
        part = part[key]
    if value is None:
        del part[keys[-1]]
    else:
        part[keys[-1]] = value
    return file


@pytest.mark.parametrize(
    "file, match",
    [
        ({}, r"must have the key `type`, but has not; there are no keys\."),
        (changed(1, "R_input"), r"must have the key `R_input`, but has not; .*[kK]nown are .*El_reference"),
        (changed(3, "asc_tau_array"), r"`asc_tau_array`, but has not; did you mean 'asc_amp_array'\?"),
        (changed(1, "voltage_reset_method"), r"the key `voltage_reset_method`, but has not; did you mean 'voltage_"),
        (changed(1, "voltage_reset_method", "name"), r"the key `voltage_reset_method\.name`, but has not; "),
        (changed(4, "threshold_reset_method", "params", "a_spike"), r"`threshold_reset_method\.params\.a_spike`, but "),
        (changed(1, "type", value="LIF"), r"a neuron of type 'GLIF', but its type is 'LIF'; choose"),
        (
            changed(1, "voltage_reset_method", "name", value="zeros"),
            r"`voltage_reset_method` of the Allen SDK, but has 'zeros'; did you mean 'zero'\? Known are zero, v_before",
        ),
        (
            changed(5, "threshold_dynamics_method", "name", value=["inf"]),
            r"`threshold_dynamics_method` of the Allen SDK, but has \['inf'\]; ",
        ),
        (
            changed(3, "AScurrent_reset_method", "name", value="none"),
            r"'none' in both or neither of `AScurrent_dynamics_method` and .*, but has 'exp' and 'none'; ",
        ),
        (changed(2, "threshold_reset_method", "name", value="inf"), r"'inf' in both or neither of `threshold_"),
        (
            changed(2, "threshold_dynamics_method", "params", "b_spike", value=70.0),
            r"must have one `b_spike`, but has 70 in `threshold_dynamics_method` and 77\.0925 in ",
        ),
        (changed(1, "C", value="60 pF"), r"must have a positive number in `C`, but has '60 pF'; "),
        (changed(1, "C", value=0), r"must have a positive number in `C`, but has 0; "),
        (changed(1, "coeffs", "G", value=-1.0), r"a positive number in `coeffs\.G`, but has -1\.0; "),
        (changed(1, "th_inf", value=math.nan), r"a finite number in `th_inf`, but has nan; "),
        (changed(1, "dt", value=True), r"a finite number in `dt`, but has True; "),
        (changed(3, "asc_tau_array", value=0.01), r"a list of numbers in `asc_tau_array`, but has 0\.01; "),
        (changed(3, "asc_tau_array", value=[0.3, 0.0]), r"a positive number in `asc_tau_array\[1\]`, but has 0\.0; "),
        (
            changed(3, "asc_amp_array", value=[1e-12]),
            r"2 numbers, as long as `asc_tau_array`, in `asc_amp_array`, but has \[1e-12\]",
        ),
        (changed(3, "coeffs", "asc_amp_array", value=[1, "1"]), r"in `coeffs\.asc_amp_array\[1\]`, but has '1'; "),
        (changed(1, "spike_cut_length", value=-1), r"`t_ref` must be a number >= 0 \[ms\], but is -0\.05; "),
        (changed(1, "th_inf", value=-0.01), r"`E_L - reset_drop` must be below `V_th \+ jumps`, "),
    ],
)
def test_read_glif_refuses_in_one_sentence(file, match):
    with refused(match):
        read_glif(file)


def test_read_glif_refuses_what_is_no_config_file(tmp_path):
    path = tmp_path / "cell.json"
    with refused(r"`config` must be an existing file, but '.*cell\.json' does not exist; ", FileNotFoundError):
        read_glif(path)
    with refused(r"`config` must be a file that you may read, but '.*' cannot be opened; "):
        read_glif(tmp_path)
    with refused(r"`config` must be a path or a dict, but is 3; ", TypeError):
        read_glif(3)
    for content, match in (
        (b"", r"cell\.json' must be JSON, but is not from line 1 on; "),
        (b'{"type": "GLIF",\n"El": }', r"cell\.json' must be JSON, but is not from line 2 on; "),
        (b"\xff\xfe{", r"cell\.json' must be JSON, but holds other bytes; "),
        (b"[1, 2]", r"cell\.json' must hold one neuron, a JSON object, but holds a list; "),
        (b'{"type": "GLIF"}', r"File '.*cell\.json' must have the key `"),
    ):
        path.write_bytes(content)
        with refused(match):
            read_glif(path)
