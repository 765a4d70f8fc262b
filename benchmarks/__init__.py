"""What the program costs, as ratios of figures that are measured side by side in one run."""
