// Package enemy attacks a server, to show what nobody can do. It has only tests.
package enemy
