"""Whether a result can be believed: the frames' noise, and what a solution leaves unexplained."""
