"""Batch: scores for many transactions at rest, by a SageMaker transform job, with every row accounted for."""
