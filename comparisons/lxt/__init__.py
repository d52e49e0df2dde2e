"""Agreement with lxt, the library of the authors of AttnLRP."""
