"""Measurements that print tables and write files; never tests."""
