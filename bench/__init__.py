"""Benchmarks: whole models on the RTL, tables and JSON. Nothing here is a test, and nothing here is timed against a bar."""
