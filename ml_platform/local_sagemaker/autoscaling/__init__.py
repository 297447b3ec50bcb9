"""Application Auto Scaling for endpoint variants: scalable targets, tracked metrics, steps and schedules.

``operations`` holds the API, ``tracking`` the loop that acts on it, ``acting`` what it does; ``steps`` and
``schedules`` are pure. Predictive scaling is not here.
"""
