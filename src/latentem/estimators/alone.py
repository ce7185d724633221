"""One caller at a time for what scikit-learn does to the whole process.

Its checks of tables swap the process's warning filters, and its k-means sets limits on threads.  Overlapping in two
threads, each puts back what the other had set, and the process keeps that for good.
"""

from __future__ import annotations

from threading import RLock

one_at_a_time = RLock()
