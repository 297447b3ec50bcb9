"""The payments machine-learning platform, from raw transactions to a monitored endpoint.

Top to bottom; a package imports only what stands below it (``pyproject.toml`` holds the contracts):

``cli``             the ``ml-platform`` command: demo, dev, status, score, approve, doctor
``definitions``     what Dagster loads
``defs``            what exists once: shared assets, schedules, sensors; one folder per model
``components``      what repeats per model: the ``ModelPipeline`` component and its stages
``resources``       settings in, capability objects out
``ingestion`` ``features`` ``training`` ``evaluation`` ``registry`` ``deployment`` ``batch`` ``monitoring`` ``scoring``
                    capabilities; siblings never import each other
``aws``             the only package that calls boto3
``containers``      code that runs inside a SageMaker container
``modeling``        what a model is: signature, fitted pipeline, artifact
``core``            settings, names, clock, verdict, fingerprint, errors

``local_sagemaker`` is the SageMaker stand-in. It imports none of the above.
"""
