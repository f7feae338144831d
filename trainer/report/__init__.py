"""What was measured, as pages for people: nothing is measured here. Read `report.py` first."""
