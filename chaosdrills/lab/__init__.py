"""The lab: real servers on this machine, supervised, on loopback.

One file a cluster. A lab is one environment among others: experiments only know its endpoints as defaults, and no
activity or probe imports this room. Everything started here is written down (`chaosdrills.host.nodes`) before it is
waited for, so that `down`, a failed start, Ctrl-C or the death of its owner leave nothing behind. Nothing listens on
anything but loopback.
"""
