"""eomd, the EVT Operation Manager daemon: bulk reads and changes of per-player counters."""

__version__ = "0.1.0"
