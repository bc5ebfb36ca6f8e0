"""Reports, all made from a record alone."""
