"""Scans: observations that change nothing by themselves, stored where recording one costs least."""

from app.facts.scans.scan import RECENT, RecordedScan, Scan, ScanCount, ScanStore, scan_id

__all__ = ["RECENT", "RecordedScan", "Scan", "ScanCount", "ScanStore", "scan_id"]
