"""What is injected: pure functions of time that know where they jump, and that add up.

The amplitude is in the unit of the model's input: uA/cm^2 for membranes, nA for point neurons, 1 for FitzHugh-Nagumo.
"""

import abc
import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxneuro.numerics import interpolated
from jaxneuro.params import AbstractParametrised, is_concrete, param

__all__ = [
    "AbstractStimulus",
    "Chirp",
    "Constant",
    "Levels",
    "OrnsteinUhlenbeck",
    "Pulses",
    "Ramp",
    "Sampled",
    "Sine",
    "Step",
    "Sum",
    "as_stimulus",
]

_EVERYWHERE = (-np.inf, np.inf)


def _amplitude(doc: str = "Amplitude.") -> Any:
    return param(unit="input", doc=doc)


def _onset() -> Any:
    return param(0.0, unit="ms", doc="Time at which it begins.")


def _duration() -> Any:
    return param(jnp.inf, unit="ms", bounds=(0, None), doc="How long it lasts.")


class AbstractStimulus(AbstractParametrised):
    """A current over time. Subclasses implement `__call__`, `jump_ts`, `domain` and `is_piecewise_constant`; `a + b`
    adds two."""

    is_piecewise_constant: eqx.AbstractVar[bool]
    """Whether it does not change between its jumps."""

    @abc.abstractmethod
    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        """Value at time t [ms]; elementwise in t."""

    @property
    @abc.abstractmethod
    def jump_ts(self) -> Float[Array, " n_jump"]:
        """Sorted times at which the value or its slope jumps [ms]; may be empty. Infinite ones are ignored."""

    @property
    @abc.abstractmethod
    def domain(self) -> tuple[Any, Any]:
        """First and last time at which it is defined [ms]."""

    def __add__(self, other: "AbstractStimulus") -> "Sum":
        return Sum((*_terms(self), *_terms(other)))


def _terms(stimulus: AbstractStimulus) -> tuple[AbstractStimulus, ...]:
    return stimulus.stimuli if isinstance(stimulus, Sum) else (stimulus,)


def _no_jumps() -> Float[Array, " 0"]:
    return jnp.zeros(0)


def _is_on(t: Array, onset: Array, duration: Array) -> Array:
    return (t >= onset) & (t < onset + duration)


class Sum(AbstractStimulus):
    """Sum of stimuli, made by `a + b`. Its parameters are found as "0.amplitude", "1.onset", ..."""

    stimuli: tuple[AbstractStimulus, ...]

    @property
    def is_piecewise_constant(self) -> bool:
        return all(stimulus.is_piecewise_constant for stimulus in self.stimuli)

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        return sum(stimulus(t) for stimulus in self.stimuli)

    @property
    def jump_ts(self) -> Float[Array, " n_jump"]:
        return jnp.sort(jnp.concatenate([stimulus.jump_ts for stimulus in self.stimuli]))

    @property
    def domain(self) -> tuple[Any, Any]:
        starts, ends = zip(*(stimulus.domain for stimulus in self.stimuli), strict=True)
        return max(starts), min(ends)


class Constant(AbstractStimulus):
    """I(t) = amplitude.

    >>> Constant(10.0)(0.0)
    Array(10., dtype=float32)
    """

    is_piecewise_constant: ClassVar[bool] = True
    amplitude: Array = _amplitude()

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        return self.amplitude + jnp.zeros_like(t)

    @property
    def jump_ts(self) -> Float[Array, " 0"]:
        return _no_jumps()

    @property
    def domain(self) -> tuple[Any, Any]:
        return _EVERYWHERE


class AbstractWindow(AbstractStimulus):
    """Something from `onset` for `duration`, nothing before and after; half-open: on at the onset, off at the end."""

    onset: eqx.AbstractVar[Float[Array, ""]]
    duration: eqx.AbstractVar[Float[Array, ""]]

    def is_on(self, t: Float[Array, "*t"]) -> Bool[Array, "*t"]:
        """Whether onset <= t < onset + duration."""
        return _is_on(t, self.onset, self.duration)

    @property
    def jump_ts(self) -> Float[Array, " 2"]:
        return jnp.stack([self.onset, self.onset + self.duration])

    @property
    def domain(self) -> tuple[Any, Any]:
        return _EVERYWHERE


class Step(AbstractWindow):
    """I(t) = amplitude for onset <= t < onset + duration, else 0.

    Without `duration` the step lasts for ever. Onset and duration [ms] are differentiable.

    >>> Step(amplitude=10.0, onset=5.0, duration=30.0)
    """

    is_piecewise_constant: ClassVar[bool] = True
    amplitude: Array = _amplitude()
    onset: Array = _onset()
    duration: Array = _duration()

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        return jnp.where(self.is_on(t), self.amplitude, 0.0)


class Levels(AbstractStimulus):
    """Piecewise constant: `levels[k]` from `starts[k]` to `starts[k + 1]`; `levels[0]` before, the last one for ever.

    The command of a voltage clamp, e.g. hold at -65 mV, step to 0 mV at 10 ms, tail at -40 mV from 30 ms. Levels and
    starts [ms], each shape (n,), are differentiable.

    >>> Levels([-65.0, 0.0, -40.0], starts=[0.0, 10.0, 30.0])
    """

    is_piecewise_constant: ClassVar[bool] = True
    levels: Array = param(unit="input", doc="Values in order.")
    starts: Array = param(unit="ms", doc="Time at which each begins.")

    def __check_init__(self):
        if self.levels.ndim != 1 or self.levels.shape != self.starts.shape or not self.levels.size:
            raise ValueError(
                f"Argument `starts` must hold one time per level, but has shape {self.starts.shape} for levels of "
                f"shape {self.levels.shape}; give two lists of equal length."
            )
        if is_concrete(self.starts) and np.any(np.diff(self.starts) < 0):
            raise ValueError(f"Argument `starts` must be sorted, but is {np.asarray(self.starts)}; sort it.")

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        value = self.levels[0] + jnp.zeros_like(t)
        for k in range(1, self.levels.shape[0]):
            value = jnp.where(t >= self.starts[k], self.levels[k], value)
        return value

    @property
    def jump_ts(self) -> Float[Array, " n-1"]:
        return self.starts[1:]

    @property
    def domain(self) -> tuple[Any, Any]:
        return _EVERYWHERE


class Pulses(AbstractStimulus):
    """`count` rectangular pulses of `amplitude` and `duration`, one every `interval`, the first at `onset`."""

    is_piecewise_constant: ClassVar[bool] = True
    amplitude: Array = _amplitude()
    onset: Array = _onset()
    duration: Array = param(1.0, unit="ms", bounds=(0, None), doc="How long each pulse lasts.")
    interval: Array = param(10.0, unit="ms", bounds=(0, None), is_open=True, doc="From one pulse's start to the next.")
    count: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        if not isinstance(self.count, int) or self.count < 1:
            raise ValueError(
                f"Argument `count` must be a whole number of at least 1, but is {self.count!r}; give e.g. 2."
            )

    def _onset_of(self, k: Array) -> Array:
        return self.onset + self.interval * k

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        # the pulse that began last ends last; its neighbours, in case the quotient is rounded across a beginning
        last = jnp.floor((t - self.onset) / self.interval)
        nearby = (jnp.clip(last + shift, 0, self.count - 1) for shift in (-1, 0, 1))
        is_on = functools.reduce(jnp.logical_or, (_is_on(t, self._onset_of(k), self.duration) for k in nearby))
        return jnp.where(is_on, self.amplitude, 0.0)

    @property
    def jump_ts(self) -> Float[Array, " 2*count"]:
        onsets = self._onset_of(jnp.arange(self.count))
        return jnp.sort(jnp.concatenate([onsets, onsets + self.duration]))

    @property
    def domain(self) -> tuple[Any, Any]:
        return _EVERYWHERE


class Ramp(AbstractWindow):
    """Line from `start` at `onset` to `stop` at `onset + duration`; 0 before and after."""

    is_piecewise_constant: ClassVar[bool] = False
    start: Array = _amplitude("Value at the onset.")
    stop: Array = _amplitude("Value at the end.")
    onset: Array = _onset()
    duration: Array = param(100.0, unit="ms", bounds=(0, None), is_open=True, doc="From onset to end.")

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        value = self.start + (self.stop - self.start) * (t - self.onset) / self.duration
        return jnp.where(self.is_on(t), value, 0.0)


class Sine(AbstractWindow):
    """I(t) = offset + amplitude sin(2 pi frequency (t - onset) + phase) from `onset` for `duration`, else 0."""

    is_piecewise_constant: ClassVar[bool] = False
    amplitude: Array = _amplitude()
    frequency: Array = param(10.0, unit="Hz", bounds=(0, None), doc="Frequency.")
    offset: Array = param(0.0, unit="input", doc="Mean value.")
    phase: Array = param(0.0, unit="1", doc="Phase at the onset [rad].")
    onset: Array = _onset()
    duration: Array = _duration()

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        angle = 2 * jnp.pi * 1e-3 * self.frequency * (t - self.onset) + self.phase
        return jnp.where(self.is_on(t), self.offset + self.amplitude * jnp.sin(angle), 0.0)


class Chirp(AbstractWindow):
    """Sine whose frequency rises linearly from `f_start` to `f_stop` [Hz] over `duration`; 0 before and after.

    I(t) = amplitude sin(2 pi (f_start s + (f_stop - f_start) s^2 / (2 duration))),   s = t - onset
    """

    is_piecewise_constant: ClassVar[bool] = False
    amplitude: Array = _amplitude()
    f_start: Array = param(0.1, unit="Hz", bounds=(0, None), doc="Frequency at the onset.")
    f_stop: Array = param(20.0, unit="Hz", bounds=(0, None), doc="Frequency at the end.")
    onset: Array = _onset()
    duration: Array = param(1000.0, unit="ms", bounds=(0, None), is_open=True, doc="From onset to end.")

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        s = t - self.onset
        cycles = 1e-3 * s * (self.f_start + 0.5 * (self.f_stop - self.f_start) * s / self.duration)
        value = self.amplitude * jnp.sin(2 * jnp.pi * cycles)
        return jnp.where(self.is_on(t), value, 0.0)


class Sampled(AbstractStimulus):
    """A recorded current: `values` every `dt` [ms] from `onset` on, linearly interpolated.

    **Raises:** a simulation that is longer than the recording is refused, never padded silently.

    >>> Sampled(jnp.array([0.0, 0.1, 0.1, 0.0]), dt=0.05)
    """

    is_piecewise_constant: ClassVar[bool] = False
    values: Array = param(unit="input", doc="Samples.")
    dt: Array = param(unit="ms", bounds=(0, None), is_open=True, doc="Sampling interval.")
    onset: Array = _onset()

    def __check_init__(self):
        if self.values.ndim == 0 and self.dt.ndim:
            raise ValueError(
                f"Argument `values` must be samples, but is a number, and `dt` has shape {self.dt.shape}; swap them."
            )
        if self.values.ndim != 1 or self.values.size < 2:
            raise ValueError(
                f"Argument `values` must be a 1-D array of at least 2 samples, but has shape {self.values.shape}; "
                "give one sweep, and use jax.vmap for several."
            )

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        return interpolated(t, self.values, self.dt, self.onset)

    @property
    def jump_ts(self) -> Float[Array, " 0"]:
        return _no_jumps()

    @property
    def domain(self) -> tuple[Any, Any]:
        return self.onset, self.onset + self.dt * (self.values.size - 1)


class OrnsteinUhlenbeck(AbstractStimulus):
    """Frozen Ornstein-Uhlenbeck noise: I(t) = mean + sigma z(t), with correlation exp(-|s|/tau) and unit variance of z.

    z is drawn once, by the exact update z_{k+1} = z_k e^{-dt/tau} + sqrt(1 - e^{-2 dt/tau}) xi_k, and interpolated
    linearly, so that every solver sees the same path. `mean` and `sigma` are differentiable; `tau` is in the path.

    **Arguments:** `mean`, `sigma` [unit of the input]; `tau`, `t1`, `dt` [ms]; `key`, or `seed` for short.

    References: Uhlenbeck & Ornstein (1930), Phys Rev 36:823. doi:10.1103/PhysRev.36.823
    """

    is_piecewise_constant: ClassVar[bool] = False
    mean: Array = param(unit="input", doc="Mean.")
    sigma: Array = param(unit="input", bounds=(0, None), doc="Standard deviation.")
    path: Float[Array, " n"]
    dt: float = eqx.field(static=True)

    def __init__(
        self,
        mean: float,
        sigma: float,
        tau: float = 5.0,
        *,
        t1: float,
        dt: float = 0.1,
        key: PRNGKeyArray | None = None,
        seed: int = 0,
    ):
        for name, value in (("tau", tau), ("t1", t1), ("dt", dt)):
            if not value > 0:
                raise ValueError(f"Argument `{name}` must be positive, but is {name}={value}; give it in ms.")
        self.mean, self.sigma, self.dt = mean, sigma, float(dt)
        decay = float(np.exp(-dt / tau))
        xi = jax.random.normal(jax.random.key(seed) if key is None else key, (int(np.ceil(t1 / dt)) + 1,))

        def advance(z, x):
            z = z * decay + np.sqrt(1 - decay**2) * x
            return z, z

        self.path = jnp.concatenate([xi[:1], jax.lax.scan(advance, xi[0], xi[1:])[1]])

    def __call__(self, t: Float[Array, "*t"] | float) -> Float[Array, "*t"]:
        return self.mean + self.sigma * interpolated(t, self.path, self.dt, 0.0)

    @property
    def jump_ts(self) -> Float[Array, " 0"]:
        return _no_jumps()

    @property
    def domain(self) -> tuple[Any, Any]:
        return 0.0, self.dt * (self.path.size - 1)


def as_stimulus(stimulus: "AbstractStimulus | float | Sequence[AbstractStimulus] | None") -> AbstractStimulus:
    """A stimulus from None (nothing injected) or a number (a constant); a stimulus is returned unchanged."""
    if stimulus is None:
        return Constant(0.0)
    if isinstance(stimulus, AbstractStimulus):
        return stimulus
    if isinstance(stimulus, str) or not (eqx.is_array_like(stimulus) and jnp.ndim(stimulus) == 0):
        is_array = isinstance(stimulus, np.ndarray | jax.Array)
        shown = f"an array of shape {stimulus.shape}" if is_array else repr(stimulus)
        raise TypeError(
            f"Argument `stimulus` must be a stimulus such as Step(amplitude, onset, duration), a number or None, "
            f"but is {shown}; use Sampled(values, dt) for recorded samples."
        )
    return Constant(stimulus)
