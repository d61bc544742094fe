package rawdir

// Move implements [Changer].
func (d *rootDir) Move(Name, Changer, Name) error { return errNoMove }
