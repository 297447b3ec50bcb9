"""Deployment: an approved model package behind an endpoint, and the proof that it is what answers."""
