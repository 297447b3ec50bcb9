"""Benchmarks: what the platform costs, each against a reference that does the same work."""
