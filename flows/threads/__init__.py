"""Threads of the recorder that leave the processor cores to the traffic."""
