"""Sodium and potassium channels of the squid giant axon (Hodgkin & Huxley 1952)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractGatedChannel, Gates, Ions, opening_rates
from jaxneuro.numerics import x_over_expm1
from jaxneuro.params import param

__all__ = ["HHPotassium", "HHSodium"]


class HHSodium(AbstractGatedChannel):
    """Fast sodium current of the squid axon at 6.3 degC: i = g_max m^3 h (V - E_rev)   [uA/cm^2]

    alpha_m = 0.1 (V+40) / (1 - e^{-(V+40)/10}),  beta_m = 4 e^{-(V+65)/18}             [1/ms]
    alpha_h = 0.07 e^{-(V+65)/20},                beta_h = 1 / (1 + e^{-(V+35)/10})     [1/ms]

    Gates: m, h [1], same shape as V [mV]. Finite in value and gradient at V = -40 mV.

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    (voltages shifted so that rest is -65 mV and depolarisation is positive; no temperature dependence).
    """

    g_max: Array = param(120.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal sodium conductance.")
    E_rev: Array = param(50.0, unit="mV", doc="Sodium reversal potential.")

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        m_inf, tau_m = opening_rates(x_over_expm1(-(V + 40) / 10), 4 * jnp.exp(-(V + 65) / 18))
        h_inf, tau_h = opening_rates(0.07 * jnp.exp(-(V + 65) / 20), jax.nn.sigmoid((V + 35) / 10))
        return {"m": m_inf, "h": h_inf}, {"m": tau_m, "h": tau_h}

    def current(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        return self.g_max * gates["m"] ** 3 * gates["h"] * (V - self.E_rev)


class HHPotassium(AbstractGatedChannel):
    """Delayed-rectifier potassium current of the squid axon at 6.3 degC: i = g_max n^4 (V - E_rev)   [uA/cm^2]

    alpha_n = 0.01 (V+55) / (1 - e^{-(V+55)/10}),  beta_n = 0.125 e^{-(V+65)/80}                     [1/ms]

    Gate: n [1], same shape as V [mV]. Finite in value and gradient at V = -55 mV.

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    (voltages shifted so that rest is -65 mV and depolarisation is positive; no temperature dependence).
    """

    g_max: Array = param(36.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal potassium conductance.")
    E_rev: Array = param(-77.0, unit="mV", doc="Potassium reversal potential.")

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        n_inf, tau_n = opening_rates(0.1 * x_over_expm1(-(V + 55) / 10), 0.125 * jnp.exp(-(V + 65) / 80))
        return {"n": n_inf}, {"n": tau_n}

    def current(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        return self.g_max * gates["n"] ** 4 * (V - self.E_rev)
