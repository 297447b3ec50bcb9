"""Offline: the ASOF store that Feast joins with, and the training sets built through it."""
