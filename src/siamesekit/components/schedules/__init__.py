"""Schedules: the learning rate over the steps of a run. One file each."""
