"""The low-pass filter of amplifiers, for models of what they record."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = ["BESSEL_PAIRS", "bessel_delay", "bessel_low_pass"]

# Poles of the four-pole Bessel low-pass whose gain is -3 dB at 1 rad per unit of time, as s^2 + damping s + stiffness:
# those of `scipy.signal.bessel(4, 1, analog=True, norm="mag")`.
BESSEL_PAIRS = (
    (1.990417528700544, 2.570755324809453),
    (2.7401356611028844, 2.0453906910156383),
)  # (damping, stiffness)

# One pole of each pair, and its weight in the answer to an impulse; the others are their conjugates.
_POLES = np.array([-damping / 2 + 1j * math.sqrt(k - damping**2 / 4) for damping, k in BESSEL_PAIRS])
_OTHERS = np.stack([np.append(np.delete(_POLES, k), _POLES.conj()) for k in range(2)])
_WEIGHTS = math.prod(k for _, k in BESSEL_PAIRS) / np.prod(_POLES[:, None] - _OTHERS, axis=1)


def bessel_delay(corner: Float[Array, ""]) -> Float[Array, ""]:
    """By how much the four-pole Bessel low-pass delays whatever is slow against its corner [ms]: 2.114 / (2 pi corner).

    **Arguments:** `corner` [kHz].

    >>> bessel_delay(jnp.asarray(2.0))
    """
    return sum(damping / stiffness for damping, stiffness in BESSEL_PAIRS) / (2 * math.pi * corner)


def bessel_low_pass(samples: Float[Array, " n"], dt: float, corner: Float[Array, ""]) -> Float[Array, " n"]:
    """A signal behind a four-pole Bessel low-pass, which has been at rest at the first sample for long.

    H(s) = k_1 k_2 / ((s^2 + d_1 s + k_1) (s^2 + d_2 s + k_2)),   s in units of 2 pi corner, |H| = -3 dB at the corner

    Exact for a signal that runs straight from sample to sample. Differentiable in both.

    **Arguments:** `samples`, every `dt` [ms], shape (n,); `corner` [kHz].

    >>> bessel_low_pass(voltage, 0.05, jnp.asarray(2.0))

    References: Thomson (1949), Proc IEE 96:487. doi:10.1049/pi-3.1949.0101
    """
    x = 2 * math.pi * corner * dt * _POLES
    grown = jnp.exp(x)
    of_level = jnp.expm1(x) / x  # what a level and a slope leave after dt, in units of dt
    of_slope = (jnp.expm1(x) - x) / x**2
    turned = 2 * math.pi * corner * dt

    def step(modes: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        now, later = pair
        modes = grown * modes + turned * (of_level * now + of_slope * (later - now))
        return modes, 2 * jnp.sum(_WEIGHTS * modes).real

    at_rest = -samples[0] / _POLES
    _, filtered = jax.lax.scan(step, at_rest.astype(x.dtype), (samples[:-1], samples[1:]))
    return jnp.append(samples[0], filtered)
