package find

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"
	"github.com/hydrawalk/hydra/walk"
)

// variables are what an expression of --filter can use of an entry.
type variables struct {
	Name      string    `expr:"name"`
	Path      string    `expr:"path"`
	Ext       string    `expr:"ext"`
	Type      string    `expr:"type"`
	Depth     int       `expr:"depth"`
	Size      int       `expr:"size"`
	Allocated int       `expr:"allocated"`
	UID       int       `expr:"uid"`
	GID       int       `expr:"gid"`
	Owner     string    `expr:"owner"`
	Group     string    `expr:"group"`
	Mode      int       `expr:"mode"`
	Nlink     int       `expr:"nlink"`
	Atime     time.Time `expr:"atime"`
	Mtime     time.Time `expr:"mtime"`
	Ctime     time.Time `expr:"ctime"`
	Age       float64   `expr:"age"`
	AsOf      time.Time `expr:"as_of"`
	constants
}

// fieldsOf are the attributes that a variable needs; those that are not in it need none.
var fieldsOf = map[string]walk.Fields{
	"size": walk.FieldSize, "allocated": walk.FieldBlocks,
	"uid": walk.FieldUID, "gid": walk.FieldGID, "owner": walk.FieldUID, "group": walk.FieldGID,
	"mode": walk.FieldMode, "nlink": walk.FieldNlink,
	"atime": walk.FieldAtime, "mtime": walk.FieldMtime, "ctime": walk.FieldCtime, "age": walk.FieldMtime,
}

// program is an expression that was compiled.
type program struct {
	*vm.Program
	uses   map[string]bool
	fields walk.Fields
}

// used collects the names in an expression.
type used map[string]bool

func (u used) Visit(node *ast.Node) {
	if id, is := (*node).(*ast.IdentifierNode); is {
		u[id.Value] = true
	}
}

func compile(text string) (*program, error) {
	// What changes from one entry to the next would mean something else on each client: as_of
	// is the time of the job.
	compiled, err := expr.Compile(text, expr.Env(variables{}), expr.AsBool(), expr.DisableBuiltin("now"))
	if err == nil {
		err = checkNumbers(text)
	}
	if err == nil {
		err = checkCalls(text)
	}
	if err != nil {
		return nil, fmt.Errorf("--filter: %w", advise(text, err))
	}
	p := &program{Program: compiled, uses: map[string]bool{}}
	node := compiled.Node()
	ast.Walk(&node, used(p.uses))
	for name := range p.uses {
		p.fields |= fieldsOf[name]
	}
	return p, nil
}

// filter decides with an expression, for one worker.
type filter struct {
	*program
	vm   vm.VM
	v    variables
	asOf time.Time
}

func newFilter(text string, asOf time.Time) (*filter, error) {
	p, err := compile(text)
	if err != nil {
		return nil, err
	}
	f := &filter{program: p, asOf: asOf}
	f.v = variables{AsOf: asOf, constants: units}
	return f, nil
}

// matches tells whether the expression holds. x.st is filled as far as fields says.
func (f *filter) matches(x *found) (bool, error) {
	v := &f.v
	if f.uses["name"] || f.uses["ext"] {
		v.Name = x.name()
		v.Ext = extension(v.Name)
	}
	if f.uses["path"] {
		v.Path = string(x.appendPath(nil))
	}
	v.Type, v.Depth = string(letter(x.typ)), x.depth
	if st := x.st; f.fields != 0 {
		v.Size, v.Allocated = int(st.Size), int(st.Allocated())
		v.UID, v.GID, v.Nlink = int(st.UID), int(st.GID), int(st.Nlink)
		v.Mode = permissions(st.Mode)
		v.Atime, v.Mtime, v.Ctime = st.Atime.Time(), st.Mtime.Time(), st.Ctime.Time()
		v.Age = f.asOf.Sub(v.Mtime).Hours() / 24
		if f.uses["owner"] {
			v.Owner = users.name(st.UID)
		}
		if f.uses["group"] {
			v.Group = groups.name(st.GID)
		}
	}
	result, err := f.vm.Run(f.Program, v)
	if err != nil {
		return false, fmt.Errorf("--filter: %w", err)
	}
	return result.(bool), nil // it was compiled so
}

// extension is what follows the last dot of a name, in lower case; "" if there is none, or
// nothing before it.
func extension(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return strings.ToLower(name[i+1:])
	}
	return ""
}

// letter is the type of an entry as --type takes it, '?' for one that it does not know.
func letter(t fs.FileMode) byte {
	switch t {
	case 0:
		return 'f'
	case fs.ModeDir:
		return 'd'
	case fs.ModeSymlink:
		return 'l'
	case fs.ModeNamedPipe:
		return 'p'
	case fs.ModeSocket:
		return 's'
	case fs.ModeDevice:
		return 'b'
	case fs.ModeDevice | fs.ModeCharDevice:
		return 'c'
	}
	return '?'
}

// permissions are the bits of a mode as chmod takes them.
func permissions(m fs.FileMode) int {
	p := int(m.Perm())
	if m&fs.ModeSetuid != 0 {
		p |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		p |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		p |= 0o1000
	}
	return p
}
