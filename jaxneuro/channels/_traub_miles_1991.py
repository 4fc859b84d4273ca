"""Sodium and potassium currents of hippocampal and cortical pyramidal cells (Traub & Miles 1991)."""

from typing import ClassVar

from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractTransitionChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import bounded_exp, sigmoid, x_over_expm1
from jaxneuro.params import param

__all__ = ["TraubMilesPotassium", "TraubMilesSodium"]

_SOURCE = Source(
    "guinea pig",
    "hippocampal pyramidal cell",
    36.0,
    "Traub & Miles (1991), Neuronal Networks of the Hippocampus, Cambridge University Press",
    "10.1017/CBO9780511895401",
)


class TraubMilesSodium(AbstractTransitionChannel):
    """Fast sodium current of pyramidal cells at 36 degC: i = g_max m^3 h (V - E_rev)   [uA/cm^2]

    With v = V - V_T:
    alpha_m = 0.32 (13 - v) / (e^{(13-v)/4} - 1),  beta_m = 0.28 (v - 40) / (e^{(v-40)/5} - 1)    [1/ms]
    alpha_h = 0.128 e^{(17-v)/18},                 beta_h = 4 / (1 + e^{(40-v)/5})                [1/ms]

    Gates: m, h [1], same shape as V [mV]. V_T [mV] shifts all of them and so adjusts the spike threshold.

    References: Traub & Miles (1991), Neuronal Networks of the Hippocampus, Cambridge University Press; in the form of
    Pospischil et al. (2008), Biol Cybern 99:427. doi:10.1007/s00422-008-0263-8
    (default conductance and V_T of the benchmark of Brette et al. (2007), doi:10.1007/s10827-007-0038-6; Q10 = 3).
    """

    ion: ClassVar[str] = "na"
    source: ClassVar[Source] = _SOURCE
    g_max: Array = param(100.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal sodium conductance.")
    E_rev: Array = param(50.0, unit="mV", doc="Sodium reversal potential.")
    V_T: Array = param(-63.0, unit="mV", doc="Voltage that shifts the gates.")
    q10: Array = param(3.0, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(m=3, h=1)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        v = V - self.V_T
        alpha = {"m": 0.32 * 4 * x_over_expm1((13 - v) / 4), "h": 0.128 * bounded_exp((17 - v) / 18)}
        return alpha, {"m": 0.28 * 5 * x_over_expm1((v - 40) / 5), "h": 4 * sigmoid((v - 40) / 5)}


class TraubMilesPotassium(AbstractTransitionChannel):
    """Delayed-rectifier potassium current of pyramidal cells at 36 degC: i = g_max n^4 (V - E_rev)   [uA/cm^2]

    With v = V - V_T:
    alpha_n = 0.032 (15 - v) / (e^{(15-v)/5} - 1),  beta_n = 0.5 e^{(10-v)/40}    [1/ms]

    Gate: n [1], same shape as V [mV]. V_T [mV] shifts it.

    References: Traub & Miles (1991), Neuronal Networks of the Hippocampus, Cambridge University Press; in the form of
    Pospischil et al. (2008), Biol Cybern 99:427. doi:10.1007/s00422-008-0263-8
    (default conductance and V_T of the benchmark of Brette et al. (2007), doi:10.1007/s10827-007-0038-6; Q10 = 3).
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = _SOURCE
    g_max: Array = param(30.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal potassium conductance.")
    E_rev: Array = param(-90.0, unit="mV", doc="Potassium reversal potential.")
    V_T: Array = param(-63.0, unit="mV", doc="Voltage that shifts the gate.")
    q10: Array = param(3.0, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(n=4)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        v = V - self.V_T
        return {"n": 0.032 * 5 * x_over_expm1((15 - v) / 5)}, {"n": 0.5 * bounded_exp((10 - v) / 40)}
