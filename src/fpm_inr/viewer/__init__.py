"""A focusable field in any browser: one page, decoded on the browser's own graphics card."""
