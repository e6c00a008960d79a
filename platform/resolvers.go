package platform

import (
	"bufio"
	"net/netip"
	"os"
	"strings"
)

// resolverFiles name the host's resolvers. The second is systemd-resolved's own,
// behind the stub on loopback that the first then names.
var resolverFiles = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// maxResolvers is how many a resolv.conf may name.
const maxResolvers = 3

// resolvers are those of the host that an instance can ask, too: one on the
// host's loopback is not in the instance's.
func resolvers(files []string) []netip.Addr {
	for _, name := range files {
		if found := resolversIn(name); len(found) > 0 {
			return found
		}
	}
	return nil
}

// resolversIn reads a resolv.conf; a file that is not there names none.
func resolversIn(name string) (found []netip.Addr) {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan() && len(found) < maxResolvers; {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(words[1]); err == nil && addr.Is4() && !addr.IsLoopback() && !addr.IsUnspecified() {
			found = append(found, addr)
		}
	}
	return found
}
