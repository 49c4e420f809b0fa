"""What runs in the hand of whoever scans: codes, offline verdicts, images, queue. Knows no service and no database."""
