"""What a stack trace tells: what was thrown innermost, and where in the program's own code. One parser a language."""

from pipeline.dead_letters.causes.stacks.folding import Folded, fold
from pipeline.dead_letters.causes.stacks.reading import frames_again_and_again, read_stack
from pipeline.dead_letters.causes.stacks.thrown import Thrown

__all__ = ["Folded", "Thrown", "fold", "frames_again_and_again", "read_stack"]
