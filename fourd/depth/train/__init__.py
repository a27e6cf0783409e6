"""Training of the embedded depth network."""
