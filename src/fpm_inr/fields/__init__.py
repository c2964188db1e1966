"""What is solved for: fields that render one complex image at any height. They know no optics."""
