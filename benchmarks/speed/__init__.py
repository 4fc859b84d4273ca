"""The parts of `benchmarks/run.py`, one idea a module; nothing here is part of the library."""
