package guard

// The rules as they are written.

// rule is a named rule, or one with parameters.
type rule struct {
	Position
	name   string
	params []string // of one with parameters
	when   cnf      // nil: always
	block
}

// block is a scope: its assignments and its clauses.
type block struct {
	lets    []*let
	clauses cnf
}

// cnf are clauses of which each line, and in it any, must pass.
type cnf [][]clause

// let is an assignment.
type let struct {
	Position
	name  string
	value operand
}

// operand is what stands right of an operator, or of an assignment: one of a literal, a
// query and a call.
type operand struct {
	literal *Value
	query   *query
	call    *call
}

// call is that of a function.
type call struct {
	Position
	name string
	args []operand
}

// query finds values. some: one that passes is enough.
type query struct {
	Position
	text  string
	some  bool
	parts []part
}

// partKind is what a part of a query does.
type partKind int

const (
	keyPart      partKind = iota // .key
	variablePart                 // %var, or .%var: the keys that the variable holds
	thisPart                     // this
	valuesPart                   // .*
	allPart                      // [*]
	indexPart                    // [0]
	filterPart                   // [ clauses ]
	keysPart                     // [ keys == /x/ ]
	literalPart                  // a number left of an operator
)

type part struct {
	kind    partKind
	name    string // a key or a variable; what a filter captures keys as
	index   int64
	filter  cnf
	op      operator
	not     bool
	operand operand
	literal *Value
}

// operator compares, or asks something of each value.
type operator int

const (
	equal operator = iota
	less
	lessEqual
	greater
	greaterEqual
	in
	exists
	empty
	isString
	isList
	isStruct
	isBool
	isInt
	isFloat
	isNull
)

func (o operator) unary() bool { return o >= exists }

func (o operator) String() string {
	return [...]string{
		"==", "<", "<=", ">", ">=", "IN", "EXISTS", "EMPTY", "IS_STRING", "IS_LIST", "IS_STRUCT", "IS_BOOL", "IS_INT", "IS_FLOAT", "IS_NULL",
	}[o]
}

// clause is a check, one of those below.
type clause interface{ place() Position }

func (p Position) place() Position { return p }

type (
	// check is a query and an operator.
	check struct {
		Position
		text    string
		message string
		query   *query
		op      operator
		not     bool // of the operator, and before the check: two are none
		operand operand
	}
	// blockClause has clauses for each value of a query.
	blockClause struct {
		Position
		query    *query
		notEmpty bool
		block
	}
	// whenClause has clauses under a condition.
	whenClause struct {
		Position
		when cnf
		block
	}
	// typeClause has clauses for each resource of a type.
	typeClause struct {
		Position
		when  cnf
		query *query
		block
	}
	// reference is to a rule by its name, with arguments for its parameters.
	reference struct {
		Position
		name    string
		not     bool
		message string
		called  bool
		args    []operand
	}
)
