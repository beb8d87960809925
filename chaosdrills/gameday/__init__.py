"""A game day: what a facilitator does around drills, before one and between two.

Choosing an experiment (`catalogue`, `runs`), writing a new one (`drafting`), finding out whether this machine can run
one (`checkup` and what it looks at), and soaking the observer in a storm of faults on the lab (`soak`, `storm`).

What may not happen here: a fault on anything but the lab, figures of its own (those are the judge's), printing. A look
at the machine changes nothing and needs no network.
"""
