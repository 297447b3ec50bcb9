"""Scoring one transaction at a time through the endpoint. Scoring many at rest is ``batch``."""
