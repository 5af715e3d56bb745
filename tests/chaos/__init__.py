"""The chaos rig: the whole system under faults, and the proof that nothing was lost. See docs/chaos.md."""
