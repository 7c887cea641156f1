"""Schedules: how the learning rate goes over the steps of a run. One file each."""
