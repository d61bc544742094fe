// Package chaos kills real processes of a cluster while they walk, and looks
// whether the result is exact. It has only tests.
package chaos
