"""Agreement with the library transformers."""
