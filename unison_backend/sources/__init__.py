"""What VACE is given: control video, mask and references at final size."""
