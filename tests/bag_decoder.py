"""The decoder of docs/explain-your-captioner.md: no LSTM, no sentinel, no attention."""

from documents import run_block

BagDecoder = run_block("docs/explain-your-captioner.md", 0)["BagDecoder"]
