"""The vocabulary every layer shares. Imports nothing of ours; only the standard library and pydantic."""
