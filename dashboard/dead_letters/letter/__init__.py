"""One dead letter, in a drawer at the side of the page."""
