"""How far to trust a mosaic: tile by tile, and as maps of the whole field."""
