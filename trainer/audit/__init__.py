"""Is it the disease or the source? Read `audit.py` first."""
