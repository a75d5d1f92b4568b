"""The integer reference: one function per unit, exact for any shape. It is the specification of the hardware."""
