"""Virtual rings, tags and radio on Bumble; the only package that imports it."""
