"""The live page: captions photographs in a browser and explains the words asked for.

Photographs lie in the memory of the server, one computation runs at a time, and nothing
is written to a disk.
"""
