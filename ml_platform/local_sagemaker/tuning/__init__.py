"""Hyper-parameter tuning: training jobs that differ in a few values, until the best is found.

``jobs`` holds the operations, ``run`` the life of one tuning job; ``ranges``, ``strategies`` and ``stopping`` decide
what to try next and what to give up, and know nothing of the service; ``warm_start`` learns from earlier tuning jobs.
Autotune, whose choices AWS does not publish, and more than one training job definition are refused.
"""
