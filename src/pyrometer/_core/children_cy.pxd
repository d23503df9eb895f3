from pyrometer._core.metric_cy cimport MetricBase


cdef class CounterBase(MetricBase):
    pass


cdef class GaugeBase(MetricBase):
    pass


cdef class SummaryBase(MetricBase):
    pass


cdef class HistogramBase(MetricBase):
    pass
