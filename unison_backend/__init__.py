"""Unison without a host: plan an instruction, prepare its sources, make the picture or video.

Importing this package imports no torch; each heavy library is imported where it is first used.
"""

__version__ = "0.2.0"
