"""Programs: from a quantized encoder to instructions and a memory image, checked, stored and run."""
