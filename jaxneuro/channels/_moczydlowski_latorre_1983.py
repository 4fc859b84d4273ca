"""Large-conductance calcium-activated potassium channel (Moczydlowski & Latorre 1983)."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractTransitionChannel, Gates, Ions, Source, gate_powers
from jaxneuro.electrochemistry import thermal_voltage
from jaxneuro.numerics import sigmoid
from jaxneuro.params import param

__all__ = ["BKChannel"]


class BKChannel(AbstractTransitionChannel):
    """Big potassium channel, opened by calcium and depolarisation: i = g_max o (V - E_rev)   [uA/cm^2]

    alpha_o = 0.48 / (1 + K_1(V) / [Ca]),  beta_o = 0.28 / (1 + [Ca] / K_2(V))                  [1/ms]
    K_1 = 0.18 e^{-1.68 F V / RT},  K_2 = 0.011 e^{-2 F V / RT}                                 [mM]

    Gate: o [1], same shape as V [mV]; needs a calcium pool, [Ca] in mM.

    References: Moczydlowski & Latorre (1983), J Gen Physiol 82:511. doi:10.1085/jgp.82.4.511
    (scheme R1 and channel A of their Table II; no temperature dependence but that of F / RT, at 20 degC if the cell has
    none).
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = Source(
        "rat",
        "skeletal muscle, in planar bilayers",
        None,
        "Moczydlowski & Latorre (1983), J Gen Physiol 82:511",
        "10.1085/jgp.82.4.511",
    )
    needs: ClassVar[tuple[str, ...]] = ("ca_i",)
    q10: ClassVar[float] = 1.0
    g_max: Array = param(10.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal conductance.")
    E_rev: Array = param(-90.0, unit="mV", doc="Potassium reversal potential.")
    powers: tuple = gate_powers(o=1)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        v = V / thermal_voltage(ions.get("celsius", jnp.asarray(20.0, V.dtype)))
        ca = jnp.maximum(ions["ca_i"], 1e-12)  # so that none at all still has a logarithm
        alpha_o = 0.48 * sigmoid(jnp.log(ca / 0.18) + 1.68 * v)
        return {"o": alpha_o}, {"o": 0.28 * sigmoid(-jnp.log(ca / 0.011) - 2 * v)}
