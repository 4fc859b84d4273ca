"""Currents of neocortical pyramidal cells (Mainen & Sejnowski 1996)."""

from typing import ClassVar

from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractGatedChannel, AbstractTransitionChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import sigmoid, x_over_expm1
from jaxneuro.params import param

__all__ = ["MainenSejnowskiM", "MainenSejnowskiPotassium", "MainenSejnowskiSodium"]

_SOURCE = Source(
    "rat", "neocortical pyramidal cell", 23.0, "Mainen & Sejnowski (1996), Nature 382:363", "10.1038/382363a0"
)


class MainenSejnowskiSodium(AbstractGatedChannel):
    """Fast sodium current of neocortical cells at 23 degC: i = g_max m^3 h (V - E_rev)   [uA/cm^2]

    With v = V + V_shift:
    alpha_m = 0.182 (v+35) / (1 - e^{-(v+35)/9}),  beta_m = 0.124 (v+35) / (e^{(v+35)/9} - 1)    [1/ms]
    tau_h   = 1 / (0.024 (v+50) / (1 - e^{-(v+50)/5}) + 0.0091 (v+75) / (e^{(v+75)/5} - 1))      [ms]
    h_inf   = 1 / (1 + e^{(v+65)/6.2})

    Gates: m, h [1], same shape as V [mV].

    References: Mainen & Sejnowski (1996), Nature 382:363. doi:10.1038/382363a0 (Q10 = 2.3 of the rates; the authors'
    programs scale the conductances too, by 3.2 at 37 degC: here that is in g_max; V_shift = -5 mV as in their Fig. 1).
    """

    ion: ClassVar[str] = "na"
    source: ClassVar[Source] = _SOURCE
    g_max: Array = param(6.4, unit="mS/cm^2", bounds=(0, None), doc="Maximal sodium conductance.")
    E_rev: Array = param(60.0, unit="mV", doc="Sodium reversal potential.")
    V_shift: Array = param(-5.0, unit="mV", doc="Shift of the gates.")
    q10: Array = param(2.3, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(m=3, h=1)

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        v = V + self.V_shift
        alpha_m, beta_m = 0.182 * 9 * x_over_expm1(-(v + 35) / 9), 0.124 * 9 * x_over_expm1((v + 35) / 9)
        rate_h = 0.024 * 5 * x_over_expm1(-(v + 50) / 5) + 0.0091 * 5 * x_over_expm1((v + 75) / 5)
        tau_m = 1 / (alpha_m + beta_m)
        return {"m": alpha_m * tau_m, "h": sigmoid(-(v + 65) / 6.2)}, {"m": tau_m, "h": 1 / rate_h}


class MainenSejnowskiPotassium(AbstractTransitionChannel):
    """Fast delayed-rectifier potassium current at 23 degC: i = g_max n (V - E_rev)   [uA/cm^2]

    alpha_n = 0.02 (V-25) / (1 - e^{-(V-25)/9}),  beta_n = 0.002 (V-25) / (e^{(V-25)/9} - 1)    [1/ms]

    Gate: n [1], same shape as V [mV].

    References: Mainen & Sejnowski (1996), Nature 382:363. doi:10.1038/382363a0 (Q10 = 2.3 of the rates; the authors'
    programs scale the conductances too, by 3.2 at 37 degC: here that is in g_max).
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = _SOURCE
    g_max: Array = param(64.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal potassium conductance.")
    E_rev: Array = param(-90.0, unit="mV", doc="Potassium reversal potential.")
    q10: Array = param(2.3, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(n=1)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        x = (V - 25) / 9
        return {"n": 0.02 * 9 * x_over_expm1(-x)}, {"n": 0.002 * 9 * x_over_expm1(x)}


class MainenSejnowskiM(AbstractTransitionChannel):
    """Slow voltage-dependent potassium current (M) at 23 degC: i = g_max n (V - E_rev)   [uA/cm^2]

    alpha_n = 0.001 (V+30) / (1 - e^{-(V+30)/9}),  beta_n = 0.001 (V+30) / (e^{(V+30)/9} - 1)    [1/ms]

    Gate: n [1], same shape as V [mV].

    References: Mainen & Sejnowski (1996), Nature 382:363. doi:10.1038/382363a0 (Q10 = 2.3 of the rates; the authors'
    programs scale the conductances too, by 3.2 at 37 degC: here that is in g_max).
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = _SOURCE
    g_max: Array = param(0.032, unit="mS/cm^2", bounds=(0, None), doc="Maximal conductance.")
    E_rev: Array = param(-90.0, unit="mV", doc="Potassium reversal potential.")
    q10: Array = param(2.3, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(n=1)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        x = (V + 30) / 9
        return {"n": 0.001 * 9 * x_over_expm1(-x)}, {"n": 0.001 * 9 * x_over_expm1(x)}
