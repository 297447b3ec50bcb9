"""Features: computed from payments, kept in daily tables, joined point-in-time for training, served online.

Feast holds the definitions (``feature_repo/``), the registry and the online store; the windows and the join are ours.
"""
