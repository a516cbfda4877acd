"""Super-resolution networks in PyTorch: they know nothing of Django, of studies or of the baselines."""
