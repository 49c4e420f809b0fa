"""Load tests and benchmarks: they speak HTTP to a real server, or measure the packages that others may use."""
