"""Code that runs inside a SageMaker container: ``training`` answers ``train``, ``serving`` answers ``serve``.

Imports ``modeling`` and ``core`` only; no Dagster, no boto3, no Feast.
"""
