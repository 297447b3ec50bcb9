"""Dagster Pipes for SageMaker jobs that outlive the run that started them.

``client`` starts or adopts a job, ``watch`` follows it; the others are its name, what it says, when to try again and
what the run shows of it.
"""
