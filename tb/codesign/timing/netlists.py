"""Netlists by hand, as Yosys' JSON describes them."""


def cell(kind, inputs=None, outputs=None, **parameters):
    ports = {**(inputs or {}), **(outputs or {})}
    return {
        "type": kind,
        "parameters": parameters,
        "connections": ports,
        "port_directions": {**dict.fromkeys(inputs or {}, "input"), **dict.fromkeys(outputs or {}, "output")},
    }


def module(ports, **cells):
    names = {bit for one in cells.values() for bits in one["connections"].values() for bit in bits if isinstance(bit, int)}
    return {
        "ports": {name: {"direction": direction, "bits": bits} for name, (direction, bits) in ports.items()},
        "cells": cells,
        "netnames": {f"n{bit}": {"bits": [bit]} for bit in sorted(names)},
    }
