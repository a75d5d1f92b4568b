"""One file a row instruction, named as its opcode: what its unit does with each row, and when."""
