"""CloudWatch metrics and alarms of the stand-in: what endpoints emit and what watches them while they are updated.

``wire`` speaks botocore's protocols; ``metrics`` and ``alarms`` hold the operations; ``metric_store`` and
``statistics`` keep and sum up values; ``queries`` and ``expressions`` answer GetMetricData and alarms alike;
``alarm_states`` and ``composite_rules`` decide states; ``monitoring`` is the loop that evaluates. Logs, dashboards and
anomaly detectors are not here.
"""
