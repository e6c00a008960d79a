package sqs

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/slipway/slipway/store"
)

// A FIFO queue keeps two more documents, both empty:
//
//	g/<group>/<id>   each message, in its group's order
//	h/<visible at>/<id>   the first message of each group
//
// A group gives its messages from the first one on, as far as they are visible:
// one that is in flight or delayed holds back all behind it. So only the first
// decides when a group can be received from, and a receive reads h/ in order. A
// message that has an entry in h/ is its group's first: nobody looks for it.

func groupRoot(data, group string) string {
	return root(data) + "g/" + base64.RawURLEncoding.EncodeToString([]byte(group)) + "/"
}

func headKey(data string, st *state, id string) string {
	return root(data) + "h/" + visibleAt(st.Visible) + "/" + id
}

// first is a group's first message; empty where it has none.
func first(tx store.Tx, data, group string) (id string, err error) {
	from := groupRoot(data, group)
	for doc, err := range tx.Scan(from, store.PrefixEnd(from)) {
		return strings.TrimPrefix(doc.Key, from), err
	}
	return "", nil
}

// leads says whether a message is the first of its group.
func leads(tx store.Tx, data, id string, st *state) (bool, error) {
	_, err := tx.Get(headKey(data, st, id))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// joinGroup puts a new message behind the others of its group.
func joinGroup(tx store.Tx, data, id string, st *state) error {
	head, err := first(tx, data, st.Group)
	if err != nil {
		return err
	}
	if err := tx.PutNew(groupRoot(data, st.Group)+id, empty); err != nil || head != "" {
		return err
	}
	return tx.PutNew(headKey(data, st, id), empty)
}

// moveInGroup follows a change of when a message is visible.
func moveInGroup(tx store.Tx, data, id string, old, st *state) error {
	first, err := leads(tx, data, id, old)
	if err != nil || !first {
		return err
	}
	if err := tx.Delete(headKey(data, old, id)); err != nil {
		return err
	}
	return tx.PutNew(headKey(data, st, id), empty)
}

// leaveGroup takes a message out of its group; if it was the first, the next
// one is that now.
func leaveGroup(tx store.Tx, data, id string, st *state) error {
	was, err := leads(tx, data, id, st)
	if err != nil {
		return err
	}
	if err := tx.Delete(groupRoot(data, st.Group) + id); err != nil || !was {
		return err
	}
	if err := tx.Delete(headKey(data, st, id)); err != nil {
		return err
	}
	head, err := first(tx, data, st.Group)
	if err != nil || head == "" {
		return err
	}
	var next state
	found, err := getRecord(tx, stateKey(data, head), &next)
	if err != nil || !found {
		return err
	}
	return tx.PutNew(headKey(data, &next, head), empty)
}
