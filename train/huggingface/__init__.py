"""Import of checkpoints in Hugging Face layout: files, name tables of the families, conversion."""
