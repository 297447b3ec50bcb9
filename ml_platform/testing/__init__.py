"""SageMaker on this machine for anybody's tests: ``fixtures`` is a pytest plugin, ``stand_in`` what it hands out.

Beside the layers: it imports none of them, so that a test of somebody else's project pays for boto3 only.
"""
