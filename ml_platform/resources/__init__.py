"""Configured access to the outside, as Dagster resources: settings in, capability objects out.

Asset logic does not belong here, and neither does rendering for the UI; a resource joins capabilities that may not
import each other.
"""
