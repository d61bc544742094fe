package report

import (
	"container/heap"
	"encoding/json"
	"html/template"

	"github.com/dustin/go-humanize"
)

// pageTree is the map of directories.
type pageTree struct {
	Data  template.JS // JSON, see treeData
	Note  string
	Shown string // how many directories are drawn, if they are not all
	Total string // of so many
	Table string // the key of the table that shows them too; empty if none does
	Name  string // of that table
}

// tableOfTree names the table that shows what the map shows.
const tableOfTree = "Use by directory"

// treeData is what the script reads. A node is
//
//	[parent, name, quoted, files, directories, bytes, allocated, newest]
//
// where parent is the index of a node before it, -1 for the root; quoted is 1 if
// the name is in quotes, with escapes; newest is in seconds, null if there is
// none.
type treeData struct {
	Now   int64    `json:"now"`
	Nodes [][8]any `json:"nodes"`
}

func newPageTree(d *Document) (*pageTree, error) {
	t := &pageTree{Note: prose(d.TreeNote)}
	kept, total := largestNodes(d.Tree, pageNodes)
	if len(kept) < total {
		t.Shown, t.Total = humanize.Comma(int64(len(kept))), humanize.Comma(int64(total))
	}
	for _, table := range d.Tables {
		if table.Name == tableOfTree && !table.Detail {
			t.Table, t.Name = table.Key, tableOfTree
		}
	}
	data := treeData{Now: d.Made.Unix()}
	for _, k := range kept {
		n := k.node
		name := printable(string(n.Name))
		inQuotes, newest := 0, any(nil)
		if name != string(n.Name) {
			inQuotes = 1
		}
		if !n.Newest.IsZero() {
			newest = n.Newest.Unix()
		}
		data.Nodes = append(data.Nodes, [8]any{
			k.parent, name, inQuotes, n.Files, n.Dirs, int64(n.Bytes), int64(n.Allocated), newest,
		})
	}
	// Marshal escapes what could end the element, or a line of script.
	text, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	t.Data = template.JS(text)
	return t, nil
}

// keptNode is a node of a pruned tree; parent is the index of its parent.
type keptNode struct {
	node   *Node
	parent int
	share  float64
}

// largestNodes returns at most so many nodes of a tree, parents before their
// children, and how many the tree has. A node is as large as the largest of its
// shares of size, allocated and files.
func largestNodes(root *Node, most int) (kept []keptNode, total int) {
	share := func(n *Node) float64 {
		part := func(n, all int64) float64 { return float64(n) / float64(max(all, 1)) }
		return max(
			part(int64(n.Bytes), int64(root.Bytes)),
			part(int64(n.Allocated), int64(root.Allocated)),
			part(n.Files, root.Files),
		)
	}
	// No node is larger than its parent: the largest that is known is the
	// largest of all that are left.
	known := nodeHeap{{root, -1, share(root)}}
	for len(known) > 0 {
		n := heap.Pop(&known).(keptNode)
		total++
		if len(kept) == most {
			total += below(n.node)
			continue
		}
		kept = append(kept, n)
		for _, c := range n.node.Children {
			heap.Push(&known, keptNode{c, len(kept) - 1, share(c)})
		}
	}
	return kept, total
}

// below counts the nodes below n.
func below(n *Node) int {
	count := 0
	for todo := []*Node{n}; len(todo) > 0; {
		last := todo[len(todo)-1]
		count += len(last.Children)
		todo = append(todo[:len(todo)-1], last.Children...)
	}
	return count
}

// nodeHeap has the largest node first.
type nodeHeap []keptNode

func (h nodeHeap) Len() int           { return len(h) }
func (h nodeHeap) Less(i, j int) bool { return h[i].share > h[j].share }
func (h nodeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *nodeHeap) Push(x any)        { *h = append(*h, x.(keptNode)) }
func (h *nodeHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
