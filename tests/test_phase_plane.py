"""Phase planes against FitzHugh-Nagumo's closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxneuro import LIF, FitzHughNagumo, HodgkinHuxley
from jaxneuro.analysis.phase_plane import phase_plane
from jaxneuro.channels import HHPotassium, Leak
from jaxneuro.models import Membrane

A, B, TAU = 0.7, 0.8, 12.5
WIDE = {"V_range": (-3.0, 3.0), "w_range": (-4.0, 5.0)}


def roots(a: float, b: float, i_app: float) -> np.ndarray:
    """V of the fixed points, in order: real roots of V - V^3/3 - (V + a)/b + i_app."""
    found = np.roots([-1 / 3, 0.0, 1 - 1 / b, i_app - a / b])
    return np.sort(found[np.abs(found.imag) < 1e-9].real)


def input_at(V: float, a: float = A, b: float = B) -> float:
    """Current at which V is a fixed point."""
    return (V + a) / b - V + V**3 / 3


def expected_name(trace: float, determinant: float) -> str:
    if determinant < 0:
        return "saddle"
    kind = "node" if trace**2 > 4 * determinant else "spiral"
    return f"{'stable' if trace < 0 else 'unstable'} {kind}"


def fixed_points(i_app: float, **parameters: float):
    return phase_plane(FitzHughNagumo(**parameters), i_app, t1=1.0, **WIDE).fixed_points


@pytest.mark.parametrize("i_app", [-0.5, 0.0, 0.2, 0.33, 0.34, 0.8, 1.2, 1.41, 1.43, 2.0])
def test_fixed_point_is_the_root_of_the_cubic(i_app):
    (point,) = fixed_points(i_app)
    (V,) = roots(A, B, i_app)
    assert point.V == pytest.approx(V, abs=1e-12)  # Newton's method at rounding
    assert point.w == pytest.approx((V + A) / B, abs=1e-12)


@pytest.mark.parametrize("a, b, i_app", [(A, B, 0.1), (A, B, 0.9), (0.0, 2.0, 0.1), (0.0, 1.5, 0.0)])
def test_fixed_point_trace_determinant_and_eigenvalues_are_the_closed_forms(a, b, i_app):
    points = fixed_points(i_app, a=a, b=b)
    assert [point.V for point in points] == pytest.approx(roots(a, b, i_app), abs=1e-12)
    for point in points:
        slope = 1 - point.V**2
        trace, determinant = slope - b / TAU, (1 - b * slope) / TAU
        np.testing.assert_allclose(point.jacobian, [[slope, -1], [1 / TAU, -b / TAU]], atol=1e-14)
        assert point.trace == pytest.approx(trace, abs=1e-14)
        assert point.determinant == pytest.approx(determinant, abs=1e-14)
        half, root = trace / 2, np.sqrt(complex(trace**2 / 4 - determinant))
        ours = sorted(point.eigenvalues, key=lambda x: (x.real, x.imag))
        theirs = sorted([half - root, half + root], key=lambda x: (x.real, x.imag))
        np.testing.assert_allclose(ours, theirs, atol=1e-13)
        assert point.stability == expected_name(trace, determinant)


def test_fixed_point_changes_stability_at_both_hopf_currents():
    V_hopf = np.sqrt(1 - B / TAU)
    low, high = input_at(-V_hopf), input_at(V_hopf)
    for i_app, name in (
        (low - 1e-4, "stable spiral"),
        (low, "centre"),
        (low + 1e-4, "unstable spiral"),
        (high - 1e-4, "unstable spiral"),
        (high, "centre"),
        (high + 1e-4, "stable spiral"),
    ):
        (point,) = fixed_points(i_app)
        assert point.stability == name, i_app


def test_fixed_point_turns_from_spiral_to_node():
    # eigenvalues meet where (trace)^2 = 4 determinant: 1 - V^2 + b/tau = +-2/sqrt(tau)
    V_stable = np.sqrt(1 + B / TAU + 2 / np.sqrt(TAU))
    V_unstable = np.sqrt(1 + B / TAU - 2 / np.sqrt(TAU))
    names = [fixed_points(input_at(V + d))[0].stability for V in (V_unstable, V_stable) for d in (-0.01, 0.01)]
    assert names == ["unstable node", "unstable spiral", "stable spiral", "stable node"]


def test_fixed_points_are_three_with_a_saddle_between():
    points = fixed_points(0.0, a=0.0, b=2.0)
    assert [point.stability for point in points] == ["stable spiral", "saddle", "stable spiral"]
    # V - V^3/3 = V/2: V = 0 and V^2 = 3/2
    assert [point.V for point in points] == pytest.approx([-np.sqrt(1.5), 0.0, np.sqrt(1.5)])


def test_fixed_points_are_told_apart_next_to_a_saddle_node():
    a, b = 0.0, 2.0
    V_fold = np.sqrt(1 - 1 / b)  # a double root of the cubic
    i_fold = input_at(-V_fold, a, b)
    before, after = (len(fixed_points(i_fold + d, a=a, b=b)) for d in (-1e-6, 1e-6))
    assert {before, after} == {1, 3}
    assert sorted(p.stability for p in fixed_points(i_fold, a=a, b=b))[0] == "degenerate"


def test_fixed_point_of_a_triple_root_is_one():
    # a = 0, b = 1: the cubic is -V^3/3, whose root is known to the cube root of rounding only
    (point,) = fixed_points(0.0, a=0.0, b=1.0)
    assert abs(point.V) < 1e-5
    assert point.stability == "degenerate"


def test_fixed_points_outside_the_window_are_not_listed():
    model = FitzHughNagumo(a=0.0, b=2.0)
    (point,) = phase_plane(model, V_range=(-0.5, 3.0), w_range=(0.1, 3.0), t1=1.0).fixed_points
    assert point.V == pytest.approx(np.sqrt(1.5))


def test_fixed_point_on_a_grid_point_is_found_once():
    model = FitzHughNagumo(a=0.0, b=0.5)
    plane = phase_plane(model, V_range=(-2.0, 2.0), w_range=(-2.0, 2.0), n_grid=5, t1=1.0)
    assert 0.0 in plane.V
    assert [point.V for point in plane.fixed_points] == pytest.approx([0.0], abs=1e-12)


@pytest.mark.parametrize("i_app", [0.0, 0.7])
def test_nullclines_are_where_the_slopes_vanish(i_app):
    plane = phase_plane(FitzHughNagumo(), i_app, t1=1.0)
    V, w = np.concatenate(plane.V_nullcline).T
    # rounding of terms of size 5
    np.testing.assert_allclose(w, V - V**3 / 3 + i_app, atol=1e-13)
    V, w = np.concatenate(plane.w_nullcline).T
    np.testing.assert_allclose(V + A - B * w, 0.0, atol=1e-13)


def test_nullclines_cross_the_whole_window():
    plane = phase_plane(FitzHughNagumo(), 0.5, t1=1.0)
    (w_line,) = plane.w_nullcline
    # the line w = (V + a)/b leaves the window through its bottom and its top
    ends = sorted(w_line[[0, -1], 1])
    assert ends == pytest.approx([-1.5, 2.5], abs=1e-9)
    (V_line,) = plane.V_nullcline
    assert np.max(np.hypot(*np.diff(V_line, axis=0).T)) < 0.1  # two cells of the grid: no gap


def test_nullcline_outside_the_window_is_empty():
    plane = phase_plane(FitzHughNagumo(), 10.0, t1=1.0, V_range=(-1.0, 1.0), w_range=(-1.0, 1.0))
    assert plane.V_nullcline == []
    assert len(plane.w_nullcline) == 1
    assert plane.fixed_points == []


def test_field_is_the_right_hand_side():
    plane = phase_plane(FitzHughNagumo(), 0.3, t1=1.0, n_grid=7)
    V, w = plane.V[None, :], plane.w[:, None]
    np.testing.assert_allclose(plane.dV, V - V**3 / 3 - w + 0.3, atol=1e-14)
    np.testing.assert_allclose(plane.dw, (V + A - B * w) / TAU, atol=1e-14)


def test_trajectory_ends_at_the_stable_fixed_point():
    plane = phase_plane(FitzHughNagumo(), 0.0, y0=(0.0, -0.6), t1=200.0)
    (point,) = plane.fixed_points
    np.testing.assert_array_equal(plane.trajectory[0], [0.0, -0.6])
    assert plane.trajectory[:, 0].max() > 1.0, "it starts beyond the threshold of an excursion"
    # the slower mode decays as exp(-0.25 t); what is left is the adaptive solver's tolerance
    np.testing.assert_allclose(plane.trajectory[-1], [point.V, point.w], atol=1e-4)


def test_trajectory_ends_on_the_limit_cycle():
    plane = phase_plane(FitzHughNagumo(), 0.5, t1=400.0)
    late = plane.ts > 300.0
    V = plane.trajectory[late, 0]
    ups = plane.ts[late][1:][(V[:-1] < 0) & (V[1:] >= 0)]
    # a cycle: equal periods to twice the saving interval of 0.1, and it stays away from the point
    assert len(ups) >= 2
    assert np.ptp(np.diff(ups)) <= 0.2
    (point,) = plane.fixed_points
    distance = np.hypot(*(plane.trajectory[late] - [point.V, point.w]).T)
    assert point.stability == "unstable spiral"
    assert distance.min() > 0.05


def test_phase_plane_starts_at_the_models_state_or_a_given_one():
    model = FitzHughNagumo(V_init=-0.3, w_init=0.2)
    np.testing.assert_allclose(phase_plane(model, t1=1.0).trajectory[0], [-0.3, 0.2])
    for y0 in (
        (1.0, 0.5),
        [1, 0.5],
        jnp.array([1.0, 0.5]),
        model.init_state()._replace(V=1.0, w=0.5),
    ):
        np.testing.assert_array_equal(phase_plane(model, y0=y0, t1=1.0).trajectory[0], [1.0, 0.5])


def test_phase_plane_works_for_a_membrane_with_one_gate():
    cell = Membrane(channels={"k": HHPotassium(), "leak": Leak()})
    plane = phase_plane(cell, 5.0, V_range=(-90.0, 20.0), w_range=(0.0, 1.0), t1=100.0)
    assert plane.names == ("V", "n")
    (point,) = plane.fixed_points
    assert point.stability.startswith("stable")
    # 100 ms are more than ten of the membrane's slowest time constants
    np.testing.assert_allclose(plane.trajectory[-1], [point.V, point.w], rtol=1e-3)
    assert plane.plot().get_xlabel() == "$V$ (mV)"


def test_phase_plane_refuses_models_without_exactly_two_scalars():
    with pytest.raises(ValueError, match=r"exactly two scalar variables, but HodgkinHuxley has V,"):
        phase_plane(HodgkinHuxley())
    with pytest.raises(ValueError, match=r"exactly two scalar variables, but LIF has V of shape"):
        phase_plane(LIF(E_L=jnp.full(3, -70.0)))
    with pytest.raises(TypeError, match="`model` must be a model"):
        phase_plane("fhn")


@pytest.mark.parametrize(
    "name, value",
    [
        ("V_range", (1.0, -1.0)),
        ("w_range", (0.0, np.nan)),
        ("w_range", 3.0),
        ("i_app", np.inf),
        ("i_app", [0.0, 1.0]),
        ("y0", (0.0, 1.0, 2.0)),
        ("y0", "ab"),
        ("n_grid", 2),
        ("n_grid", 10.5),
    ],
)
def test_phase_plane_refuses_bad_arguments(name, value):
    with pytest.raises(ValueError, match=rf"Argument `{name}` must be .* but is .*; .*\.$"):
        phase_plane(FitzHughNagumo(), **{name: value})


def test_phase_plane_in_float32(run_python):
    code = """
        from jaxneuro import FitzHughNagumo
        from jaxneuro.analysis.phase_plane import phase_plane
        plane = phase_plane(FitzHughNagumo(a=0.0, b=2.0), t1=1.0)
        for p in plane.fixed_points:
            print(p.V, p.stability, sep=",")
    """
    found = [line.split(",") for line in run_python(code).splitlines()]
    assert [name for _, name in found] == ["stable spiral", "saddle", "stable spiral"]
    V = [float(value) for value, _ in found]
    assert V == pytest.approx([-np.sqrt(1.5), 0.0, np.sqrt(1.5)], abs=1e-5)  # float32 at size 5
