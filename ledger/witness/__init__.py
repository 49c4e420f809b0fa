"""A witness (C2SP tlog-witness): it cosigns a log's checkpoint after it has seen that the log only grew.

Whoever runs one, a customs office or an association, makes it impossible for the log to show different lists to
different people without being found out. It needs no database of the product and trusts nobody who calls it.
"""
