//go:build unix && !linux

package runas

const needs = "it has to be root"

func mayKill() error       { return nil } // who may change the user may do that
func giveUpAmbient() error { return nil }
