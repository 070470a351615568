"""Adapters: every data set becomes one :class:`training.samples.SampleTable`."""
