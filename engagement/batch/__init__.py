"""Many videos: order, results on disk, what was done already, what failed."""
