"""The default engine: declared window features with Polars."""
