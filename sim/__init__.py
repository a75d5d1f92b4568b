"""The emitted RTL as a native program: Verilator, an AXI memory model, and a run loop callable from Python."""
