"""What the platform needs in an AWS account, as CDK stacks. May import ``ml_platform.core``, nothing else of ours."""
