"""What a run, or a measurement, leaves for readers: figures, cost, curves, a model card and one offline page."""
