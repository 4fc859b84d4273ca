"""What a model is compared with, and how: targets, what the amplifier adds, losses."""

__all__ = []
