"""Unit tests of what a model is."""
