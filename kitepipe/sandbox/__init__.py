"""A server that speaks Kite's protocol: for demos, tests and benchmarks.

`Sandbox` runs in a thread, `serve` in the foreground. Nothing here is used by the stages.
"""

from kitepipe.sandbox.corrections import Correction
from kitepipe.sandbox.faults import KINDS, Faults, parse_faults
from kitepipe.sandbox.journal import LogEntry, RequestCounts
from kitepipe.sandbox.options import SandboxOptions, Split
from kitepipe.sandbox.running import Sandbox, serve

__all__ = [
    "KINDS",
    "Correction",
    "Faults",
    "LogEntry",
    "RequestCounts",
    "Sandbox",
    "SandboxOptions",
    "Split",
    "parse_faults",
    "serve",
]
