"""Sentences from any step function: beam search and sampling."""
