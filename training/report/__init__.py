"""What a run, or a measurement, leaves for readers: figures, cost, curves and one offline page."""
