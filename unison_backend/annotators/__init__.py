"""What finds things in pictures: boxes for words (GroundingDINO), masks for boxes, points and masks (SAM2), tracked."""
