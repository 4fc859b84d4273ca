"""GLIF neurons of the Allen Cell Types Database: the `neuron_config.json` files of the Allen SDK."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxneuro.io._missing import missing
from jaxneuro.models import GLIF, SpikeCurrent, SpikeThreshold
from jaxneuro.params import guess

__all__ = ["read_glif"]

_METHODS = {
    "voltage_dynamics_method": ("linear_forward_euler",),
    "voltage_reset_method": ("zero", "v_before"),
    "AScurrent_dynamics_method": ("none", "exp"),
    "AScurrent_reset_method": ("none", "sum"),
    "threshold_dynamics_method": ("inf", "spike_component", "three_components_exact"),
    "threshold_reset_method": ("inf", "three_components"),
}


def read_glif(config: str | os.PathLike[str] | Mapping[str, Any]) -> GLIF:
    """Read a GLIF1 to GLIF5 neuron of the Allen Cell Types Database.

    On the right are the file's keys, in SI units and relative to El_reference; c: coeffs, n: spike_cut_length.

    tau_m = R_input C c_C / c_G, R_m = R_input / c_G, t_ref = n dt        [ms, MOhm, ms]
    E_L = El_reference + El, V_th = El_reference + c_th_inf th_inf        [mV]
    reset_gain = a, reset_drop = El (1 - a) - b                           [1, mV]; a = b = 0 in method "zero"
    a_V = c_a a_voltage, b_V = c_b b_voltage                              [1/ms]
    currents: tau = asc_tau, keep = r, jump = c_asc asc_amp e^{n dt / asc_tau}        [ms, 1, nA]
    threshold: tau = 1 / b_spike, jump = a_spike e^{n dt b_spike}                     [ms, mV]

    The currents are called "asc_1", "asc_2", ..., the threshold "spike"; levels without them have none. The file gives
    their amplitudes at the end of the refractory period, and the factors e^{...} carry these back to the spike.

    **Arguments:** `config`, path of a neuron_config.json, or what it holds as a dict.

    **Raises:** FileNotFoundError where there is no such file; ValueError for what is no JSON or no GLIF neuron, a
    missing key, a method that the SDK does not have, and a value that is no number or impossible.

    **Deviations:** The SDK takes forward Euler steps of dt and sees a spike at the end of a step; here both are exact,
    and the SDK's spikes differ by at most about a step per interval. Where a reset leaves V over threshold the SDK
    stops, and the model goes on. The model starts at rest: `init_voltage` and `init_AScurrents`, 0 in all published
    files, are not read.

    >>> model = read_glif("neuron_config.json")  # doctest: +SKIP

    References: Teeter et al. (2018), Nat Commun 9:709. doi:10.1038/s41467-017-02717-4; the Allen SDK's
    allensdk.model.glif, whose rules these are.
    """
    file = _opened(config)
    if file.part("type") != "GLIF":
        raise ValueError(
            f"{file.name} must describe a neuron of type 'GLIF', but its type is {file.part('type')!r}; "
            "choose the neuron_config.json of a GLIF model."
        )
    methods = {key: file.method(key) for key in _METHODS}
    t_ref = file.number("spike_cut_length") * file.number("dt")
    R_m = file.positive("R_input") / file.positive("coeffs", "G", default=1)
    E_L = file.number("El_reference") + file.number("El")
    V_th = file.number("El_reference") + file.number("coeffs", "th_inf", default=1) * file.number("th_inf")
    values = {
        "currents": _currents(file, methods, t_ref),
        "thresholds": _thresholds(file, methods, t_ref),
        "tau_m": 1e3 * R_m * file.positive("C") * file.positive("coeffs", "C", default=1),
        "R_m": 1e-6 * R_m,
        "E_L": 1e3 * E_L,
        "V_th": 1e3 * V_th,
        "t_ref": 1e3 * t_ref,
    }
    gain, shift = 0.0, 0.0
    if methods["voltage_reset_method"] == "v_before":
        gain, shift = (file.number("voltage_reset_method", "params", name) for name in "ab")
    values |= {"reset_gain": gain, "reset_drop": 1e3 * (file.number("El") * (1 - gain) - shift)}
    if methods["threshold_dynamics_method"] == "three_components_exact":
        a, b = (file.number("threshold_dynamics_method", "params", f"{name}_voltage") for name in "ab")
        values["a_V"] = 1e-3 * a * file.number("coeffs", "a", default=1)
        values["b_V"] = 1e-3 * b * file.number("coeffs", "b", default=1)
    return GLIF(**values)


@dataclasses.dataclass(frozen=True)
class _Config:
    """What a file holds, and how messages call it."""

    content: Mapping[str, Any]
    name: str

    def part(self, *keys: str, default: Any = None) -> Any:
        """The value at keys inside keys; an error where there is none and no default."""
        value: Any = self.content
        for depth, key in enumerate(keys):
            if not isinstance(value, Mapping) or key not in value:
                if default is not None:
                    return default
                where = ".".join(keys[: depth + 1])
                known = guess(key, value) if isinstance(value, Mapping) and value else "there are no keys"
                raise ValueError(f"{self.name} must have the key `{where}`, but has not; {known}.")
            value = value[key]
        return value

    def number(self, *keys: str, default: float | None = None) -> float:
        return self._checked(self.part(*keys, default=default), ".".join(keys))

    def positive(self, *keys: str, default: float | None = None) -> float:
        return self._checked(self.part(*keys, default=default), ".".join(keys), is_positive=True)

    def numbers(
        self, *keys: str, n: int | None = None, default: float | None = None, is_positive: bool = False
    ) -> list:
        """A list of n numbers, or of any."""
        name, values = ".".join(keys), self.part(*keys, default=None if default is None else [default] * n)
        if not isinstance(values, list | tuple) or len(values) != (len(values) if n is None else n):
            many = "a list of numbers" if n is None else f"a list of {n} numbers, as long as `asc_tau_array`,"
            raise ValueError(f"{self.name} must have {many} in `{name}`, but has {values!r}; correct it.")
        return [self._checked(value, f"{name}[{k}]", is_positive) for k, value in enumerate(values)]

    def method(self, key: str) -> str:
        name = self.part(key, "name")
        if name not in _METHODS[key]:
            raise ValueError(
                f"{self.name} must have a `{key}` of the Allen SDK, but has {name!r}; {guess(name, _METHODS[key])}."
            )
        return name

    def _checked(self, value: Any, name: str, is_positive: bool = False) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or (is_positive and value <= 0):
            kind = "a positive number" if is_positive else "a finite number"
            raise ValueError(f"{self.name} must have {kind} in `{name}`, but has {value!r}; correct it.")
        return value


def _opened(config: Any) -> _Config:
    if isinstance(config, Mapping):
        return _Config(config, "Argument `config`")
    if not isinstance(config, str | os.PathLike):
        raise TypeError(
            f"Argument `config` must be a path or a dict, but is {config!r}; give the path of a neuron_config.json."
        )
    path = Path(config)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise missing("config", path) from None
    except OSError:
        raise ValueError(
            f"Argument `config` must be a file that you may read, but '{path}' cannot be opened; name one "
            "neuron_config.json and check its permissions."
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        where = (
            f"is not from line {error.lineno} on" if isinstance(error, json.JSONDecodeError) else "holds other bytes"
        )
        raise ValueError(f"File '{path}' must be JSON, but {where}; download it again.") from None
    if not isinstance(content, dict):
        raise ValueError(
            f"File '{path}' must hold one neuron, a JSON object, but holds a {type(content).__name__}; "
            "choose a neuron_config.json."
        )
    return _Config(content, f"File '{path}'")


def _has(file: _Config, methods: Mapping[str, str], part: str, absent: str) -> bool:
    """Whether the neuron has such a part; its dynamics and its reset must agree on that."""
    moves, jumps = (methods[f"{part}_{rule}_method"] for rule in ("dynamics", "reset"))
    if (moves == absent) != (jumps == absent):
        raise ValueError(
            f"{file.name} must have {absent!r} in both or neither of `{part}_dynamics_method` and "
            f"`{part}_reset_method`, but has {moves!r} and {jumps!r}; correct one of them."
        )
    return moves != absent


def _currents(file: _Config, methods: Mapping[str, str], t_ref: float) -> dict[str, SpikeCurrent]:
    if not _has(file, methods, "AScurrent", "none"):
        return {}
    taus = file.numbers("asc_tau_array", is_positive=True)
    n = len(taus)
    amplitudes = file.numbers("asc_amp_array", n=n)
    factors = file.numbers("coeffs", "asc_amp_array", n=n, default=1)
    keeps = file.numbers("AScurrent_reset_method", "params", "r", n=n)
    parts = zip(taus, amplitudes, factors, keeps, strict=True)
    return {
        f"asc_{k}": SpikeCurrent(jump=1e9 * factor * amplitude * math.exp(t_ref / tau), tau=1e3 * tau, keep=keep)
        for k, (tau, amplitude, factor, keep) in enumerate(parts, start=1)
    }


def _thresholds(file: _Config, methods: Mapping[str, str], t_ref: float) -> dict[str, SpikeThreshold]:
    if not _has(file, methods, "threshold", "inf"):
        return {}
    rates = [file.positive(f"threshold_{rule}_method", "params", "b_spike") for rule in ("dynamics", "reset")]
    if rates[0] != rates[1]:
        raise ValueError(
            f"{file.name} must have one `b_spike`, but has {rates[0]:g} in `threshold_dynamics_method` and "
            f"{rates[1]:g} in `threshold_reset_method`; correct one of them."
        )
    amplitude = file.number("threshold_reset_method", "params", "a_spike")
    return {"spike": SpikeThreshold(jump=1e3 * amplitude * math.exp(t_ref * rates[0]), tau=1e3 / rates[0])}
