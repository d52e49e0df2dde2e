"""What the README reports, measured; every figure has its command."""
