"""Analysis of recorded and simulated traces, and of models."""

from jaxneuro.analysis.recordings import (
    CurrentStep,
    FITable,
    Passive,
    StepWindow,
    fi_table,
    find_spikes,
    find_steps,
    main_step,
    passive_properties,
)

__all__ = [
    "CurrentStep",
    "FITable",
    "Passive",
    "StepWindow",
    "fi_table",
    "find_spikes",
    "find_steps",
    "main_step",
    "passive_properties",
]
