"""The code itself: identity, signature, GS1 syntaxes, what scanners send, and what we print.

Start at `reader.read_code` for text that a scanner sent and at `build.code_text` for text to print.
"""
