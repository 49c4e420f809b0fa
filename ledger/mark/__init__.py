"""The high-water mark: what keeps a restored database from becoming a second history."""
