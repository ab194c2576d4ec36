"""Dead letters out of a file: our own export, or what `kcat -J` has written."""
