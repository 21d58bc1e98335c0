"""The lab's live system: a kernel and a RAM disk that rescue a machine, of Debian's parts."""
