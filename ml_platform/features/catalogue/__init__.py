"""The feature catalogue: what each feature says, where it comes from, how it looks today, and who uses it."""
