"""Streaming: payments and labels, one by one, into the histories that exact windows are finished from."""
