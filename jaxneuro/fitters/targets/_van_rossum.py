"""A loss of spike times that pairs no spikes: the distance of the two trains after smoothing."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro._solution import Solution
from jaxneuro.analysis.firing import shortfall
from jaxneuro.analysis.spike_trains import van_rossum_distance
from jaxneuro.fitters.targets._losses import AbstractNumber
from jaxneuro.fitters.targets._samples import positive_number
from jaxneuro.fitters.targets._targets import SpikeTimes

__all__ = ["VanRossumLoss"]


class VanRossumLoss(AbstractNumber):
    """Square of the van Rossum distance within the run, per data spike; of times t_i, a missing spike costs 1/n.

    loss = D^2 / n + margin,   n spikes in the data
    D^2 = 2/tau integral_0^t1 (f - g)^2 dt,   f(t) = sum_{t_i < t} exp(-(t - t_i) / tau) of the model, g of the data
        = sum_ij s_i s_j [exp(-|t_i - t_j| / tau) - exp(-(2 t1 - t_i - t_j) / tau)],   s = 1 (model) or -1 (data)
    margin = max(n - n_model, 0) / n (1 - exp(-(t1 - t_last) / tau)) per_mV below

    Long before t1 this is `van_rossum_distance`: a spike too few or too many, alone, costs 1/n, and one that is off by
    d costs (2 - 2 exp(-d / tau)) / n. Since the integral ends with the run, a spike that crosses t1 does so
    continuously. With tau far beyond the intervals it compares the counts of spikes up to every t.

    A missing spike has a derivative by the margin: `below` [mV] is how far the voltage stays below threshold after the
    model's last spike, t_last, or from 0 on.

    **Arguments:** `tau` [ms], about the largest error in time that still has a slope; it is an array, so that a fit
    with another one does not compile anew; `per_mV` [1/mV], how much each mV of a missing spike costs, in spikes.

    The loss has a kink where two spikes coincide, of slope 2 / (n tau) to either side; its derivative there is 0.
    `fit` begins with a long tau and shortens it to this one; end with a `SpikeTimeLoss`, which is smooth where the
    spikes are right.

    **Raises:** ValueError for a tau that is not positive or a negative per_mV.

    >>> fit(model, target, free={"tau_m": (5.0, 50.0)}, loss=VanRossumLoss(tau=20.0))

    References: van Rossum (2001), Neural Comput 13:751. doi:10.1162/089976601300014321
    """

    unit: ClassVar[str] = "1"
    targets: ClassVar[tuple[type, ...]] = (SpikeTimes,)
    tau: Float[Array, ""]
    per_mV: Float[Array, ""]

    # 10 mV below threshold are as bad as the spike that is missing
    def __init__(self, tau: float = 10.0, *, per_mV: float = 0.1):
        self.tau = positive_number("tau", tau, "ms", 10.0)
        self.per_mV = positive_number("per_mV", per_mV, "1/mV", 0.1, is_open=False)

    def __call__(self, solution: Solution, target: SpikeTimes) -> Float[Array, ""]:
        times, t1 = solution.spike_times, target.t1
        n, n_model = jnp.sum(jnp.isfinite(target.times)), jnp.sum(jnp.isfinite(times))
        # what the integral from t1 on adds to the distance
        after = self._trace(times, t1) - self._trace(target.times, t1)
        square = van_rossum_distance(times, target.times, self.tau, is_squared=True) - after**2
        last = jnp.max(jnp.where(jnp.isfinite(times), times, 0.0))
        left = -jnp.expm1(-(t1 - last) / self.tau)
        margin = jnp.maximum(n - n_model, 0) * left * self.per_mV * shortfall(solution, last)
        return (square + margin) / n

    def with_tau(self, tau: float) -> "VanRossumLoss":
        """The same with another tau [ms]."""
        return eqx.tree_at(lambda loss: loss.tau, self, jnp.asarray(tau, self.tau.dtype))

    def _trace(self, times: Float[Array, " n"], t: Any) -> Float[Array, ""]:
        """f(t): exponentials since every spike [1]."""
        is_spike = jnp.isfinite(times)
        return jnp.sum(jnp.where(is_spike, jnp.exp(-(t - jnp.where(is_spike, times, t)) / self.tau), 0.0))
