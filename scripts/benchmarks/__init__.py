"""Measures of the repository's programs against others, and of its schema; run by scripts/bench."""
