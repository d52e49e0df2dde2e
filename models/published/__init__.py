"""Captioners that others have published, read from their own files."""
