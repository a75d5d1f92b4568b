"""HALT: the end of a program."""

from isa.instruction import Operation

OPERATION = Operation
