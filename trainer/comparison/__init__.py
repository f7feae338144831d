"""The paper's study beside the methods of its related work. Read `compare.py` first."""
