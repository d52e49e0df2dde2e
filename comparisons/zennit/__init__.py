"""zennit, the reference for LRP in PyTorch."""
