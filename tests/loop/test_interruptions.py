"""A run that dies half way loses nothing: the same run again succeeds and pays for nothing twice."""
