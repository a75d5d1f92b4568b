"""One file an opcode, named as it: fields, legality, footprint, execution on the reference, colour."""
