"""Feast definitions, and nothing else: entities, sources, feature views and services as plain objects.

Nothing here says where data lives: a source names its table, ``feature_store.yaml`` the bucket.
"""
