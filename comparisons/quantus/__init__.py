"""Quantus, the reference for scores of explanations."""
