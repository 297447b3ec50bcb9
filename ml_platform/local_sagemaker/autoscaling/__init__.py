"""Application Auto Scaling for endpoint variants: scalable targets, and policies that track invocations per instance.

``operations`` holds the API, ``tracking`` the loop that acts on it. Step, scheduled and predictive scaling
are not here.
"""
