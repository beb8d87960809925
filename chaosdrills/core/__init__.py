"""The pure core: a history goes in, figures and a verdict come out.

What lives here: the history model and its exchange form, outages, episodes, recovery, freshness, availability, restart
attempts, loss, verdicts, objectives and the shape of a summary. Functions of their arguments alone, on the standard
library and numpy.

What may not happen here: reading a clock, a file or the network; threads; chaoslib; a driver; imports from any other
room but `chaosdrills.errors`. A record judged again later gives the same verdict.

Times inside are integer nanoseconds on the record's clock (0 at the header), so that a comparison never depends on
floating point; `_s` at the edges are seconds as floats.
"""
