"""How bytes reach the disk and come back, below all that has a format of its own."""
