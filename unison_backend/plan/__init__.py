"""What is to be made: instruction, plan, and the specification that follows from it. Pure, no heavy library."""
