"""A firm, a shop and a customs office to try everything with, and the whole story told in a minute."""
