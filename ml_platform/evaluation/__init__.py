"""Evaluation: reports on a holdout, the promotion gate and its plots. Pure."""
