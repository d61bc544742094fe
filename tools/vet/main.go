// Command vet runs the analyzers of go vet, and reads all packages from source: go vet has
// what they import compiled first, for each platform anew, which takes ten times as long.
package main

import (
	"golang.org/x/tools/go/analysis/multichecker"
	"golang.org/x/tools/go/analysis/suite/vet"
)

func main() { multichecker.Main(vet.Suite...) }
