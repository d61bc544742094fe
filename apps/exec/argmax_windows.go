package exec

// argMax is the longest command line, of which quotes take some.
func argMax() int { return 24 << 10 }
