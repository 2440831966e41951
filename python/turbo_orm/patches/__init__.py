"""Everything that is done to other packages' modules, and what undoes it."""
