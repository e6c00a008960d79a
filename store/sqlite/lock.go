package sqlite

// Hold keeps every store of a data folder closed until release is called;
// store.ErrLocked where one is open.
func Hold(dir string) (release func() error, err error) {
	l, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return l.release, nil
}
