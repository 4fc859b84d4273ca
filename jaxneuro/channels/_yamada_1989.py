"""Slow potassium (M) current (Yamada, Koch & Adams 1989)."""

from typing import ClassVar

from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractGatedChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import bounded_exp, sigmoid
from jaxneuro.params import param

__all__ = ["MCurrent"]


class MCurrent(AbstractGatedChannel):
    """Slow, non-inactivating potassium current (M) at 36 degC: i = g_max p (V - E_rev)   [uA/cm^2]

    p_inf = 1 / (1 + e^{-(V+35)/10}),  tau_p = tau_max / (3.3 e^{(V+35)/20} + e^{-(V+35)/20})   [ms]

    Gate: p [1], same shape as V [mV]. It makes spike trains adapt.

    References: Yamada, Koch & Adams (1989), in Koch & Segev (eds), Methods in Neuronal Modeling, MIT Press, 97; with
    the constants of Pospischil et al. (2008), Biol Cybern 99:427. doi:10.1007/s00422-008-0263-8 (Q10 = 2.3).
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = Source(
        "bullfrog",
        "sympathetic ganglion cell",
        36.0,
        "Yamada, Koch & Adams (1989), Methods in Neuronal Modeling, 97",
        "10.1007/s00422-008-0263-8",
    )
    g_max: Array = param(0.07, unit="mS/cm^2", bounds=(0, None), doc="Maximal conductance.")
    E_rev: Array = param(-100.0, unit="mV", doc="Potassium reversal potential.")
    tau_max: Array = param(1000.0, unit="ms", bounds=(0, None), is_open=True, doc="Scale of the time constant.")
    q10: Array = param(2.3, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(p=1)

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        x = (V + 35) / 20
        return {"p": sigmoid(2 * x)}, {"p": self.tau_max / (3.3 * bounded_exp(x) + bounded_exp(-x))}
