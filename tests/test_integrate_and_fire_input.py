"""What integrate-and-fire models refuse."""

import pytest

from jaxneuro import EIF, GLIF, QIF, AdEx, Izhikevich, SpikeCurrent, SynapticLIF


@pytest.mark.parametrize(
    "build, match",
    [
        (lambda: AdEx(t_ref=-1.0), r"`t_ref` must be a number >= 0 \[ms\], but is -1; "),
        (lambda: AdEx(V_reset=30.0), r"`V_reset` must be below `V_peak`, but is V_reset=30.* with V_peak=20"),
        (lambda: EIF(V_T=30.0), r"`V_T` must be below `V_peak`"),
        (lambda: QIF(V_c=-80.0), r"`E_L` must be below `V_c`"),
        (lambda: Izhikevich(c=31.0), r"`c` must be below `V_peak`"),
        (lambda: SynapticLIF(tau_s=0.0), r"`tau_s` must be a number > 0 \[ms\], but is 0; "),
        (lambda: EIF(Delta_T=0.0), r"`Delta_T` must be a number > 0 \[mV\]"),
        (lambda: GLIF(reset_drop=-25.0), r"`E_L - reset_drop` must be below `V_th \+ jumps`"),
        (lambda: SpikeCurrent(0.1, tau=-3.0), r"`tau` must be a number > 0"),
        (
            lambda: AdEx.preset("burst"),
            r"`name` must be a preset, but is 'burst'; did you mean '(initial_burst|bursting)'",
        ),
        (lambda: Izhikevich.preset("XX"), r"known are RS, IB, CH, FS, LTS, TC, RZ"),
    ],
)
def test_bad_parameters_are_refused(build, match):
    with pytest.raises(ValueError, match=match):
        build()


def test_glif_parts_of_the_wrong_kind_are_refused():
    with pytest.raises(TypeError, match=r"`currents` must be a dict of SpikeCurrents by name, but is .*; give e\.g\."):
        GLIF(currents=[SpikeCurrent(0.1, 10.0)])
