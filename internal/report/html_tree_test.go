package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// bigTree is a tree of a root and so many directories of falling size, ten in
// each.
func bigTree(directories int) *Node {
	nodes := []*Node{{Name: "/big"}}
	for i := range directories {
		n := &Node{Name: Path(fmt.Sprintf("directory %d", i))}
		nodes = append(nodes, n)
		parent := nodes[i/10]
		parent.Children = append(parent.Children, n)
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		size := 1000 - i/10
		n.Files, n.Bytes, n.Allocated, n.Dirs = int64(size), Bytes(size), Bytes(size), 1
		for _, c := range n.Children {
			n.Files, n.Bytes, n.Allocated, n.Dirs = n.Files+c.Files, n.Bytes+c.Bytes, n.Allocated+c.Allocated, n.Dirs+c.Dirs
		}
	}
	return nodes[0]
}

func TestTreeKeepsTheLargest(t *testing.T) {
	root := bigTree(7000)
	kept, total := largestNodes(root, pageNodes)
	if len(kept) != pageNodes || total != 7001 {
		t.Errorf("%d of %d nodes are kept, want %d of 7001", len(kept), total, pageNodes)
	}
	seen := map[*Node]bool{}
	smallest := root.Bytes
	for i, k := range kept {
		if k.parent >= i || i > 0 && !slices.Contains(kept[k.parent].node.Children, k.node) {
			t.Fatalf("node %d has the parent %d", i, k.parent)
		}
		seen[k.node] = true
		smallest = min(smallest, k.node.Bytes)
	}
	for todo := []*Node{root}; len(todo) > 0; todo = todo[1:] {
		if n := todo[0]; !seen[n] && n.Bytes > smallest {
			t.Fatalf("%s has %d bytes and is left out, one of %d is kept", n.Name, n.Bytes, smallest)
		}
		todo = append(todo, todo[0].Children...)
	}
	page := render(t, &Document{Tree: root})
	if !strings.Contains(page, "the 5,000 largest of 7,001 directories") {
		t.Error("it is not said that there are more")
	}
	if page := render(t, sample()); strings.Contains(page, "largest of") {
		t.Error("a tree that is whole is said to be cut")
	}

	// What is left out counts with all below it.
	deep := &Node{Name: "deepest"}
	for range 9 {
		deep = &Node{Bytes: deep.Bytes + 1, Children: []*Node{deep, {Name: "beside"}}}
	}
	if kept, total := largestNodes(deep, 3); len(kept) != 3 || total != 19 {
		t.Errorf("%d of %d nodes are kept, want 3 of 19", len(kept), total)
	}

	// Many small files are as much as one large file.
	files := &Node{Name: "files", Files: 999, Bytes: 1}
	root = &Node{Files: 1000, Bytes: 1001, Children: []*Node{{Name: "large", Files: 1, Bytes: 900}, {Name: "small", Bytes: 100}, files}}
	if kept, _ := largestNodes(root, 2); kept[1].node != files {
		t.Errorf("%s is kept before the directory with the most files", kept[1].node.Name)
	}
}

func TestWithoutTreeThereIsNoMap(t *testing.T) {
	d := sample()
	d.Tree = nil
	page := render(t, d)
	if scripts := between(page, "<script", "</script>"); len(scripts) != 1 {
		t.Errorf("%d scripts, want that of the page alone", len(scripts))
	}
	if markup := withoutCode(page); strings.Contains(markup, "directories\"") || strings.Contains(markup, "map") {
		t.Error("there is a map")
	}
}
