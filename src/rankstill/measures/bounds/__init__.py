"""Proven bounds on what a student can do, each with its terms, its assumptions, and whether it says anything."""
