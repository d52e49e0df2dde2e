"""What `evaluate_bbox.py` and `examine_word.py` put together over a dataset."""
