"""Changes of a source, pure: how rows become labels, and which of them hold."""
