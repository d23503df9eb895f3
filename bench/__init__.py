"""Measures Pyrometer beside other clients, in one run, and prints absolute figures and ratios.

``python -m bench`` from the root of the repository. Every figure of the table was measured by the run that printed
it: contenders take turns within each round, so that a slow moment of the machine falls on all of them, and ratios
are taken round by round before their median is.
"""
