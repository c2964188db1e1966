"""Several wavelengths as one picture: where they lie against each other, white, and colour."""
