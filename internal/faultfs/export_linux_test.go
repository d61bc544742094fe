package faultfs

// Unmount is what the end of a test does.
var Unmount = unmount
