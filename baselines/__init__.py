"""Upscalers without training, in numpy and Pillow: they know nothing of Django, of studies or of the networks."""
