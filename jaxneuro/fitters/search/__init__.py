"""How parameters are found: free ones and their starts, stages, steps, populations, checkpoints."""

__all__ = []
