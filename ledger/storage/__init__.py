"""Where the log is kept: the database engine, its tables, and the small interface the log writes through."""
