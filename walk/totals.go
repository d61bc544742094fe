package walk

// Add adds what another walk of the same job counted.
func (t *Totals) Add(c *Totals) { t.add(c) }
