"""Kills, full disks and read-only folders, and two processes at once: nothing is lost, and nothing comes twice."""
