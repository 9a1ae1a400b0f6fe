"""The intent model of the rules planner: its sentences, and how it is trained on them."""
