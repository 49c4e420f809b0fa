"""The keys of the log: which of them signs what, how they change, and how readers learn it."""
