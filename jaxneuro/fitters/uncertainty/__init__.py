"""How sure a fit is: profiles, posteriors, bootstraps, and how far gradients can be trusted."""

__all__ = []
