"""Figures of simulations, f-I curves and phase planes; imports matplotlib."""

from jaxneuro.plot._fi import plot_fi as plot_fi
from jaxneuro.plot._fit import plot_fit as plot_fit
from jaxneuro.plot._phase_plane import plot_phase_plane as plot_phase_plane
from jaxneuro.plot._recording import plot_recording as plot_recording
from jaxneuro.plot._solution import plot_solution as plot_solution

__all__ = ["plot_fi", "plot_fit", "plot_phase_plane", "plot_recording", "plot_solution"]
