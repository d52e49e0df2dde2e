"""iNNvestigate, which the paper's LRP of the encoder ran on."""
