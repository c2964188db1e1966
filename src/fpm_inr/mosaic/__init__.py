"""Whole fields of view: planned, solved and kept tile by tile, seen as one solution."""
