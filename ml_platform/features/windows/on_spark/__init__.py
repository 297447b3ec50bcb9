"""The second engine: the same declared window features with Spark. Needs the ``spark`` extra."""
