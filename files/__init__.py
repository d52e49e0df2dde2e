"""Files that are read whole, checked and named, and written whole or not at all."""
