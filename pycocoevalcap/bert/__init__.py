"""BERTScore with the interface of the other metrics."""
