"""The packaged tables against the recordings that they are taken from."""

import numpy as np
import pytest

from jaxneuro.datasets import cell_0018_fi


def test_cell_0018_is_consistent():
    cell = cell_0018_fi()
    np.testing.assert_array_equal(cell.current, np.arange(-100.0, 301.0, 25.0))
    np.testing.assert_array_equal(cell.rate, 1e3 * cell.count / cell.duration)
    assert np.all(cell.rate[cell.current < 50] == 0) and cell.rate[-1] == 18.0
    assert np.all(np.diff(cell.rate) >= 0)
    assert "MIT" in cell.licence and "171116sh_0018.abf" in cell.source


def test_cell_0018_is_what_the_recording_says(data_dir):
    pytest.importorskip("pyabf", reason="reading ABF needs the extra `io`")
    from jaxneuro.analysis.recordings import fi_table, passive_properties
    from jaxneuro.io import read_recording

    cell = cell_0018_fi()
    recording = read_recording(data_dir / "abf" / "171116sh_0018.abf")
    table = fi_table(recording)
    np.testing.assert_allclose(table.current, cell.current, atol=1e-9)
    np.testing.assert_array_equal(table.count, cell.count)
    assert table.duration == cell.duration
    passive = passive_properties(recording)
    # the table gives one digit; rest is the mean over sweeps there and the median here
    assert passive.R_m == pytest.approx(cell.R_m, abs=0.1)
    assert passive.tau_m == pytest.approx(cell.tau_m, abs=0.1)
    assert passive.E_L == pytest.approx(cell.E_L, abs=0.7)
