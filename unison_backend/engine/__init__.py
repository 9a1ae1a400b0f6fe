"""The standalone engine: sampling Wan VACE without a host."""
