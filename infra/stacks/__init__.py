"""Stacks by logical unit; stateful ones apart from stateless ones."""
