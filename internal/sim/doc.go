// Package sim runs servers and clients over trees that do not exist, in worlds
// where much goes wrong and time is virtual.
//
// It has only tests. A world is made of a seed, which a failure prints.
package sim
