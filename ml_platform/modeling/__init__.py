"""What a model is: its columns, the fitted pipeline, the artifact, and how containers speak.

Training, serving, batch and evaluation share this package, so that a score means the same everywhere. Nothing
here knows Dagster, boto3 or Feast.
"""
