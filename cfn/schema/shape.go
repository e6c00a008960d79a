package schema

// Shape is what a schema says of a place in the properties. The zero Shape says
// nothing: the place is free-form, such as the inside of a policy document.
type Shape struct {
	s *Schema
	d *definition
}

// Shape of the properties as a whole. A nil schema has the zero Shape.
func (s *Schema) Shape() Shape {
	if s == nil {
		return Shape{}
	}
	return Shape{s, s.root}
}

// Member is the shape of an object's member, or of a map's value.
func (p Shape) Member(name string) Shape {
	if p.d == nil {
		return Shape{}
	}
	for _, d := range p.variants() {
		if m := d.Properties[name]; m != nil {
			return Shape{p.s, p.s.resolve(m)}
		}
	}
	return Shape{}
}

// Item is the shape of a list's items.
func (p Shape) Item() Shape {
	if p.d == nil || p.d.Items == nil {
		return Shape{}
	}
	return Shape{p.s, p.s.resolve(p.d.Items)}
}

// FreeForm reports whether the place's members are not the schema's to name: a
// document or a map.
func (p Shape) FreeForm() bool {
	for _, d := range p.variants() {
		if len(d.Properties) > 0 {
			return false
		}
	}
	return true
}

// Ordered reports whether the order of a list's items says something.
func (p Shape) Ordered() bool {
	return p.d != nil && !p.d.UniqueItems && (p.d.InsertionOrder == nil || *p.d.InsertionOrder)
}

// variants are the definition and those that it is one of.
func (p Shape) variants() []*definition {
	if p.d == nil {
		return nil
	}
	all := []*definition{p.d}
	for _, list := range [][]*definition{p.d.OneOf, p.d.AnyOf, p.d.AllOf} {
		for _, d := range list {
			if d = p.s.resolve(d); d != nil {
				all = append(all, d)
			}
		}
	}
	return all
}
