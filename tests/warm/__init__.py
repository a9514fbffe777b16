"""Processes of the product that begin with their imports done: forks of one process."""
