"""Training of binarized transformers, and their export to the integer model."""
