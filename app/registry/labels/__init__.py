"""Labels: pure rendering of signed codes to sheets and rolls, and reading the finished file back.

No database and no web here. `sheets` draws (PDF, PNG, SVG, terminal), `zpl` speaks to thermal printers, `check` reads
back; `compose` places the marks of one label and `layouts` knows the papers.
"""
