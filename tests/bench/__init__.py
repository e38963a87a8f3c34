"""Measurements of kitepipe on this machine: ranks between ways, not absolute figures."""
