"""Models of the machine - resources, cycles, energy - that are checked against the RTL, and what is chosen with them."""
