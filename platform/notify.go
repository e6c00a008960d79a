package platform

import (
	"fmt"
	"net"
	"os"
)

// notify tells systemd how this service is ("READY=1"), where one listens
// (sd_notify(3)). What goes wrong there is no reason to stop.
func notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if path[0] == '@' {
		path = "\x00" + path[1:]
	}
	c, err := net.Dial("unixgram", path)
	if err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}
