"""Evalsite: studies that ask people which of two pictures was taken by a camera."""

__version__ = "0.1.0"
