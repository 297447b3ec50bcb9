"""The registry: versions of a model, their lineage, their approval, and which one is live."""
