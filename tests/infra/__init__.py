"""The synthesized CloudFormation templates."""
