"""Measurements of kitepipe on this machine, each beside its limit or a peer of the same run.

Ratios are what counts: absolute figures are the machine's, and of whoever else uses it.
"""
