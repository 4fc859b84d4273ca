"""Figures of simulations, f-I curves, spike trains, phase planes and classical experiments; imports matplotlib."""

from jaxneuro.plot._channels import plot_action_potential as plot_action_potential
from jaxneuro.plot._channels import plot_gates as plot_gates
from jaxneuro.plot._channels import plot_sodium_states as plot_sodium_states
from jaxneuro.plot._channels import plot_window as plot_window
from jaxneuro.plot._clamp import plot_clamp as plot_clamp
from jaxneuro.plot._excitability import plot_accommodation as plot_accommodation
from jaxneuro.plot._excitability import plot_all_or_none as plot_all_or_none
from jaxneuro.plot._excitability import plot_fi_hysteresis as plot_fi_hysteresis
from jaxneuro.plot._excitability import plot_rebound as plot_rebound
from jaxneuro.plot._excitability import plot_refractory as plot_refractory
from jaxneuro.plot._excitability import plot_strength_duration as plot_strength_duration
from jaxneuro.plot._fi import plot_fi as plot_fi
from jaxneuro.plot._fit import plot_fit as plot_fit
from jaxneuro.plot._phase_plane import plot_phase_plane as plot_phase_plane
from jaxneuro.plot._posterior import plot_posterior as plot_posterior
from jaxneuro.plot._recording import plot_recording as plot_recording
from jaxneuro.plot._reliability import plot_reliability as plot_reliability
from jaxneuro.plot._report import fit_report as fit_report
from jaxneuro.plot._solution import plot_solution as plot_solution
from jaxneuro.plot._spike_trains import plot_isi as plot_isi
from jaxneuro.plot._spike_trains import plot_raster as plot_raster
from jaxneuro.plot._terms import plot_residuals as plot_residuals
from jaxneuro.plot._terms import plot_terms as plot_terms

__all__ = [
    "plot_reliability",
    "plot_accommodation",
    "plot_action_potential",
    "plot_all_or_none",
    "plot_clamp",
    "plot_fi",
    "plot_fi_hysteresis",
    "plot_fit",
    "plot_gates",
    "plot_isi",
    "plot_phase_plane",
    "plot_posterior",
    "plot_residuals",
    "plot_terms",
    "plot_raster",
    "plot_rebound",
    "plot_recording",
    "plot_refractory",
    "plot_sodium_states",
    "plot_solution",
    "plot_strength_duration",
    "plot_window",
]
