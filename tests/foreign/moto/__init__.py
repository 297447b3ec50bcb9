"""moto's own SageMaker tests against the stand-in.

``source`` unpacks and repairs them, ``net`` starts services and runs them with the plugin ``server_mode``.
"""
