package agent

// shell runs a line of text.
var shell = []string{"cmd.exe", "/C"}
