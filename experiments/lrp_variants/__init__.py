"""Seeks better relevance among variants of LRP."""
