"""What the commands do: each puts the parts together, does one thing, and shows it."""
