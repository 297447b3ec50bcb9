"""Monitoring: captured traffic, drift, performance on late labels, and what to do about it. Pure."""
