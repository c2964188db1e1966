"""Where to begin: height, orientation, places and pupil from the frames, judged by one plane."""
