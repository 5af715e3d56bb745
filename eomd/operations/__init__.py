"""Doing the work: hand-in, running, scheduling and summing up of operations."""
