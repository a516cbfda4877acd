"""Faults that an operator meets, with real processes: killed, restarted, cut off, out of space, out of time."""
