"""Trackers: where a run's figures are shown while it trains, one file each, the class first."""
