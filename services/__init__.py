"""The services.

What one of them imports is some 200,000 objects, which it has until it ends. To look through them
for garbage at the usual pace took a quarter of the time of its start, and half a second of its end.
"""

import atexit
import gc

gc.set_threshold(20_000, 10, 10)
atexit.register(gc.freeze)
