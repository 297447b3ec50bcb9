"""Skew: the features that were served, beside what the offline store says, and what it would have said otherwise."""
