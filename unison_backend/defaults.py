"""What holds where nobody says otherwise: each value once, for nodes, command line, engine and training."""

from __future__ import annotations

# Sampling: the reference's (inference.py, WAN_CONFIGS).
STEPS = 50
CFG = 5.0
SHIFT = 5.0
VACE_STRENGTH = 1.0
SEED = 0

# Size and length of a result: Wan2.1-VACE-1.3B's own (inference.py).
WIDTH, HEIGHT = 832, 480
NUM_FRAMES = 81
FPS = 24
# Frames that a longer video goes on from, segment by segment: two thirds of a second show how things move.
OVERLAP = 17

# Plans count frames at this rate whatever the output's own (paper: "3 seconds" is 72 frames).
PLAN_FPS = 24

# Finding things: VACE's annotators. The least score of a box and of a word, and the overlap of duplicates.
DETECTION_THRESHOLD = 0.25
TEXT_THRESHOLD = 0.20
NMS_IOU = 0.5

# Answers, in tokens.
MAX_NEW_TOKENS = 512

# Media of a plan that goes to a server: the sockets of Plan from JSON.
MAX_MEDIA = 8
