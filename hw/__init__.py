"""The accelerator in Amaranth: the units of golden, file for file, and what connects them."""
