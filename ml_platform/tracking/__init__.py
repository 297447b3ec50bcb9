"""Tracking: what MLflow keeps of each candidate: parameters, metrics, plots, and links both ways."""
