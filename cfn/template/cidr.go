package template

import (
	"math/big"
	"net/netip"
	"strconv"
)

// cidr is Fn::Cidr: [ip block, count, subnet bits].
func (e *evaluator) cidr(n, arg *Node) any {
	var words [3]string
	for i := range arg.Items {
		if words[i] = e.text(arg.Items[i], cidrMisuse); HasUnknown(words[i]) {
			return Unknown
		}
	}
	block, err := netip.ParsePrefix(words[0])
	count, err2 := strconv.Atoi(words[1])
	if err != nil || err2 != nil || count < 1 || count > 256 {
		e.at(n, "%s", cidrMisuse)
		return Unknown
	}
	// The third argument is the bits that are left to hosts: 8 makes a /24 of IPv4.
	bits := block.Addr().BitLen()
	hosts := 8
	if bits == 128 {
		hosts = 64
	}
	if words[2] != "" {
		if hosts, err = strconv.Atoi(words[2]); err != nil || hosts < 0 || hosts > bits {
			e.at(n, "%s", cidrMisuse)
			return Unknown
		}
	}
	size := bits - hosts
	if free := size - block.Bits(); free < 0 || free < 9 && count > 1<<free {
		e.at(n, "Template error: Fn::Cidr cannot make %d blocks of /%d out of %s", count, size, words[0])
		return Unknown
	}
	next := new(big.Int).SetBytes(block.Masked().Addr().AsSlice())
	step := new(big.Int).Lsh(big.NewInt(1), uint(hosts))
	blocks := make([]any, count)
	for i := range blocks {
		addr, _ := netip.AddrFromSlice(next.FillBytes(make([]byte, bits/8)))
		blocks[i] = netip.PrefixFrom(addr, size).String()
		next.Add(next, step)
	}
	return blocks
}
