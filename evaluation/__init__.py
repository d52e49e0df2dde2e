"""Scores of captions and explanations: pure functions of words and arrays."""
