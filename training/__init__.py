"""What `train.py` puts together: the data of a run and its callbacks."""
