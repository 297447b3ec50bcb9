"""Labels: what was known about each payment, and since when."""
