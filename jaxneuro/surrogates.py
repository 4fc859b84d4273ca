"""Surrogate derivatives of a spike in the distance to threshold.

A spike is a step, S(gap) = 1 for gap >= 0 [mV] and 0 below, whose derivative is 0 almost everywhere. A surrogate leaves
S as it is and puts the bump h(beta gap) in place of the derivative. All have unit peak, h(0) = 1; `normalize="area"`
scales the bump to an area of 1, that of the true derivative. Forward and reverse mode both work; second derivatives of
a surrogate mean nothing and are 0.

The scale matters more than the shape. With the reset detached a gradient grows as 1 / dt, since every step near
threshold counts. With the reset attached every such step multiplies it by 1 - (V_th - V_reset) dS/dgap, so that a peak
above 2 / (V_th - V_reset), 0.13 per mV for a reset by 15 mV, lets it grow without bound: take `normalize="area"` and a
small beta there.

References: Neftci, Mostafa & Zenke (2019), IEEE Signal Process Mag 36:51. doi:10.1109/MSP.2019.2931595;
Zenke & Vogels (2021), Neural Comput 33:899 (the shape matters little, the scale does). doi:10.1162/neco_a_01367
"""

import abc
import math
from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.params import called

__all__ = [
    "SURROGATES",
    "AbstractSurrogate",
    "Arctan",
    "CustomSurrogate",
    "Gaussian",
    "MultiGaussian",
    "Sigmoid",
    "StraightThrough",
    "SuperSpike",
    "Triangular",
    "find_surrogate",
]

Normalization = Literal["peak", "area"]


@jax.custom_jvp
def _step(gap: Float[Array, "*s"], slope: Float[Array, "*s"]) -> Float[Array, "*s"]:
    return (gap >= 0).astype(gap.dtype)


@_step.defjvp
def _step_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (gap, slope), (d_gap, _) = primals, tangents
    return _step(gap, slope), slope * d_gap


class AbstractSurrogate(eqx.Module):
    """S(gap) = 1 for gap >= 0, else 0, with dS/dgap = c h(beta gap) [1/mV]; c = 1, or beta / area of h.

    Subclasses implement the bump `h` of the dimensionless distance, its integral `primitive` and its `area`.
    """

    beta: eqx.AbstractVar[float]
    """Steepness [1/mV]: the bump is 1 / beta wide."""

    normalize: eqx.AbstractVar[Normalization]
    """"peak": h(0) = 1 per mV; "area": the integral over gap is 1."""

    area: eqx.AbstractVar[float]
    """Integral of h; inf where it has none."""

    @abc.abstractmethod
    def h(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """The bump, h(0) = 1."""

    @abc.abstractmethod
    def primitive(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """Integral of h from 0 to x: the smooth step whose true derivative the surrogate is."""

    def __check_init__(self):
        if isinstance(self.beta, bool | str) or not 0 < self.beta < math.inf:
            raise ValueError(f"Argument `beta` must be a positive number [1/mV], but is {self.beta!r}; use e.g. 1.0.")
        if self.normalize not in ("peak", "area"):
            raise ValueError(
                f"Argument `normalize` must be one of 'peak', 'area', but is {self.normalize!r}; choose one."
            )
        if self.normalize == "area" and not math.isfinite(self.area):
            raise ValueError(
                f"Argument `normalize` must be 'peak' for {type(self).__name__}, which has no area, but is 'area'; "
                "leave it out."
            )

    def __call__(self, gap: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """The spike: 1 where gap >= 0, else 0, with the surrogate as derivative."""
        return _step(gap, jax.lax.stop_gradient(self.slope(gap)))

    def slope(self, gap: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """dS/dgap [1/mV]."""
        return self._scale * self.h(self.beta * gap)

    def smooth(self, gap: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """A function whose derivative is `slope`, 1/2 at threshold."""
        return 0.5 + self._scale / self.beta * self.primitive(self.beta * gap)

    @property
    def _scale(self) -> float:
        return self.beta / self.area if self.normalize == "area" else 1.0


def _beta(default: float = 1.0) -> float:
    return eqx.field(static=True, default=default)


def _normalize() -> Normalization:
    return eqx.field(static=True, default="peak")


class SuperSpike(AbstractSurrogate):
    """h(x) = 1 / (1 + |x|)^2, the derivative of the fast sigmoid x / (1 + |x|); area 2.

    References: Zenke & Ganguli (2018), Neural Comput 30:1514. doi:10.1162/neco_a_01086
    """

    beta: float = _beta()
    normalize: Normalization = _normalize()
    area: ClassVar[float] = 2.0

    def h(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return 1 / (1 + jnp.abs(x)) ** 2

    def primitive(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return x / (1 + jnp.abs(x))


class Sigmoid(AbstractSurrogate):
    """h(x) = 4 s(x) (1 - s(x)) with the logistic function s; area 4."""

    beta: float = _beta()
    normalize: Normalization = _normalize()
    area: ClassVar[float] = 4.0

    def h(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return 4 * jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)

    def primitive(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return 2 * jnp.tanh(x / 2)


class Arctan(AbstractSurrogate):
    """h(x) = 1 / (1 + x^2); area pi.

    References: Fang et al. (2021), ICCV, 2641. doi:10.1109/ICCV48922.2021.00266
    """

    beta: float = _beta()
    normalize: Normalization = _normalize()
    area: ClassVar[float] = math.pi

    def h(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return 1 / (1 + x * x)

    def primitive(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return jnp.arctan(x)


class Triangular(AbstractSurrogate):
    """h(x) = max(0, 1 - |x|); area 1.

    References: Bellec et al. (2018), Adv Neural Inf Process Syst 31. arXiv:1803.09574
    """

    beta: float = _beta(0.2)
    normalize: Normalization = _normalize()
    area: ClassVar[float] = 1.0

    def h(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return jnp.maximum(0.0, 1 - jnp.abs(x))

    def primitive(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        x = jnp.clip(x, -1.0, 1.0)
        return x - 0.5 * x * jnp.abs(x)


class Gaussian(AbstractSurrogate):
    """h(x) = exp(-x^2 / 2): beta is 1 over the standard deviation; area sqrt(2 pi).

    References: Yin, Corradi & Bohte (2021), Nat Mach Intell 3:905. doi:10.1038/s42256-021-00397-w
    """

    beta: float = _beta(0.5)
    normalize: Normalization = _normalize()
    area: ClassVar[float] = math.sqrt(2 * math.pi)

    def h(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return jnp.exp(-0.5 * x * x)

    def primitive(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return math.sqrt(math.pi / 2) * jax.scipy.special.erf(x / math.sqrt(2))


class MultiGaussian(AbstractSurrogate):
    """h(x) = [(1 + q) g(x, 0, 1) - q g(x, 1, s) - q g(x, -1, s)] / h_0, normal densities g of a mean and a width.

    h_0 makes h(0) = 1. The bump is negative on its flanks, q = 0.15 and s = 6 as in the paper; area 1 / h_0.

    References: Yin, Corradi & Bohte (2021), Nat Mach Intell 3:905. doi:10.1038/s42256-021-00397-w
    """

    beta: float = _beta(0.5)
    normalize: Normalization = _normalize()
    flank: ClassVar[float] = 0.15
    width: ClassVar[float] = 6.0

    @property
    def area(self) -> float:
        return (1 - self.flank) / self._at_zero

    @property
    def _at_zero(self) -> float:
        side = math.exp(-0.5 / self.width**2) / self.width
        return (1 + self.flank - 2 * self.flank * side) / math.sqrt(2 * math.pi)

    def h(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        sides = _density(x - 1, self.width) + _density(x + 1, self.width)
        return ((1 + self.flank) * _density(x, 1.0) - self.flank * sides) / self._at_zero

    def primitive(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        sides = _distribution(x - 1, self.width) + _distribution(x + 1, self.width) - 1
        return ((1 + self.flank) * (_distribution(x, 1.0) - 0.5) - self.flank * sides) / self._at_zero


def _density(x: Array, s: float) -> Array:
    return jnp.exp(-0.5 * (x / s) ** 2) / (s * math.sqrt(2 * math.pi))


def _distribution(x: Array, s: float) -> Array:
    return 0.5 * (1 + jax.scipy.special.erf(x / (s * math.sqrt(2))))


class StraightThrough(AbstractSurrogate):
    """h(x) = 1: the spike has the derivative of the distance itself; no area.

    References: Bengio, Leonard & Courville (2013), arXiv:1308.3432
    """

    beta: float = _beta()
    normalize: Normalization = _normalize()
    area: ClassVar[float] = math.inf

    def h(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return jnp.ones_like(x)

    def primitive(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return x


class CustomSurrogate(AbstractSurrogate):
    """A bump of one's own: `bump` and its `integral` from 0, functions of x = beta gap in jax.numpy.

    >>> CustomSurrogate(lambda x: jnp.exp(-jnp.abs(x)), lambda x: jnp.sign(x) * -jnp.expm1(-jnp.abs(x)), area=2.0)
    """

    bump: Callable[[Array], Array] = eqx.field(static=True)
    integral: Callable[[Array], Array] = eqx.field(static=True)
    area: float = eqx.field(static=True, default=math.inf)
    beta: float = _beta()
    normalize: Normalization = _normalize()

    def h(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return self.bump(x)

    def primitive(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return self.integral(x)


SURROGATES: dict[str, type[AbstractSurrogate]] = {
    "superspike": SuperSpike,
    "fast_sigmoid": SuperSpike,
    "sigmoid": Sigmoid,
    "arctan": Arctan,
    "triangular": Triangular,
    "gaussian": Gaussian,
    "multi_gaussian": MultiGaussian,
    "straight_through": StraightThrough,
}
"""Surrogates by name; "fast_sigmoid" is the primitive of "superspike", so that both have one derivative."""


def find_surrogate(name: str, **options: float | str) -> AbstractSurrogate:
    """The surrogate called `name`, with `beta` [1/mV] and `normalize` as options.

    >>> find_surrogate("arctan", beta=0.5)
    """
    return called("surrogate", name, SURROGATES)(**options)
