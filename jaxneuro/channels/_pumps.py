"""Pumps that restore the concentrations: sodium-potassium and calcium ATPases."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractUngatedChannel, Gates, Ions, Source
from jaxneuro.electrochemistry import FARADAY
from jaxneuro.params import param

__all__ = ["CalciumPump", "SodiumPotassiumPump"]


class SodiumPotassiumPump(AbstractUngatedChannel):
    """Electrogenic Na+/K+ ATPase, 3 Na+ out and 2 K+ in per ATP.

    i = i_max (1 + K_K / [K]_o)^{-2} (1 + K_Na / [Na]_i)^{-3},  i_Na = 3 i,  i_K = -2 i     [uA/cm^2]

    No gates. Needs pools of sodium and potassium, whose concentrations are in mM; `i` is the net outward current.

    References: Kager, Wadman & Somjen (2000), J Neurophysiol 84:495; in the form and with the half-saturations of
    Somjen, Kager & Wadman (2008), J Comput Neurosci 25:349. doi:10.1007/s10827-008-0083-9
    """

    ion: ClassVar[str] = ""
    source: ClassVar[Source] = Source(
        "rat",
        "hippocampal pyramidal cell",
        None,
        "Somjen, Kager & Wadman (2008), J Comput Neurosci 25:349",
        "10.1007/s10827-008-0083-9",
    )
    needs: ClassVar[tuple[str, ...]] = ("na_i", "k_o")
    i_max: Array = param(13.0, unit="uA/cm^2", bounds=(0, None), doc="Net current of the saturated pump.")
    K_Na: Array = param(10.0, unit="mM", bounds=(0, None), is_open=True, doc="Inside sodium of half saturation.")
    K_K: Array = param(2.0, unit="mM", bounds=(0, None), is_open=True, doc="Outside potassium of half saturation.")

    def current(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        # x / (x + K), not 1 / (1 + K / x): finite without any ions
        potassium = ions["k_o"] / (ions["k_o"] + self.K_K)
        sodium = ions["na_i"] / (ions["na_i"] + self.K_Na)
        return jnp.broadcast_to(self.i_max * potassium**2 * sodium**3, V.shape)

    def carried(self, i: Float[Array, "*c"]) -> dict[str, Float[Array, "*c"]]:
        return {"na": 3 * i, "k": -2 * i}

    def atp_rate(self, i: Float[Array, "*c"]) -> Float[Array, "*c"]:
        """ATP molecules split at a net current i [uA/cm^2]: i / F [pmol/(cm^2 s)]; one charge leaves per ATP."""
        return 1e6 * i / FARADAY


class CalciumPump(AbstractUngatedChannel):
    """Plasma-membrane calcium pump: i = i_max [Ca]_i / ([Ca]_i + K_Ca)   [uA/cm^2]

    No gates. Needs a calcium pool, whose concentration is in mM.

    References: Destexhe, Babloyantz & Sejnowski (1993), Biophys J 65:1538. doi:10.1016/S0006-3495(93)81190-1
    (Michaelis-Menten kinetics with their half-saturation; their 1e-4 mM/ms in a shell of 0.1 um are 0.19 uA/cm^2).
    """

    ion: ClassVar[str] = "ca"
    source: ClassVar[Source] = Source(
        "rat",
        "thalamic relay cell",
        None,
        "Destexhe, Babloyantz & Sejnowski (1993), Biophys J 65:1538",
        "10.1016/S0006-3495(93)81190-1",
    )
    needs: ClassVar[tuple[str, ...]] = ("ca_i",)
    i_max: Array = param(0.19, unit="uA/cm^2", bounds=(0, None), doc="Current of the saturated pump.")
    K_Ca: Array = param(1e-4, unit="mM", bounds=(0, None), is_open=True, doc="Inside calcium of half saturation.")

    def current(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        return jnp.broadcast_to(self.i_max * ions["ca_i"] / (ions["ca_i"] + self.K_Ca), V.shape)

    def carried(self, i: Float[Array, "*c"]) -> dict[str, Float[Array, "*c"]]:
        return {"ca": i}
