"""Adapters: every data set becomes one :class:`training.samples.table.SampleTable`."""
