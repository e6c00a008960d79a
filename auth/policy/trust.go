package policy

// Trusts evaluates a trust policy for an action such as "sts:AssumeRole": how it
// names the caller, and whether it refuses the caller.
func (d *Document) Trusts(who Caller, action string, keys Keys) (Named, Decision) {
	decision, how := d.decide(&who, &Request{Action: action, Context: keys})
	return how, decision
}
