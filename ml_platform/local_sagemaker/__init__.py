"""SageMaker on this machine: a loopback service that unmodified boto3 talks to, with real processes behind it.

Start it with ``python -m ml_platform.local_sagemaker``. It imports nothing of the platform, so that it serves people
who do not use the platform. S3 and CloudWatch Logs are not here: they come from ``AWS_ENDPOINT_URL``.

``service`` is the state every operation gets; ``protocol`` and ``validation`` speak AWS JSON 1.1 after botocore's own
service model; ``training``, ``transform``, ``models``, ``registry``, ``tags`` and ``hosting`` hold the operations;
``cloudwatch`` and ``autoscaling`` are the two other services that endpoints need; ``model_cards``, ``lineage``,
``search``, ``tuning`` and ``pipelines`` hold what surrounds them; ``containers`` runs an image's command as a process
that sees ``/opt/ml``.
"""
