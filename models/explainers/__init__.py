"""Why a captioner wrote each word: the methods, and what they hand over."""
