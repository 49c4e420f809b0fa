package main

import (
	"bufio"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// One line of the cases file. Byte members are base64 in JSON, so that mutated text may be any bytes.
type testCase struct {
	Name    string
	Kind    string
	Key     string
	Proof   []byte
	Leaf    []byte
	Content []byte
	Issuer  []byte
	Old     []byte
	New     []byte
	Path    []string
}

const usage = `usage: outside cases FILE            verify each line of FILE, print "name accepted" or "name refused: why"
       outside audit DIR KEY [KEPT..] verify a published log: checkpoint, tiles, leaves, growth from kept checkpoints`

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "cases":
		err = cases(os.Args[2])
	case len(os.Args) >= 4 && os.Args[1] == "audit":
		err = audit(os.Args[2], os.Args[3], os.Args[4:])
	default:
		err = errors.New(usage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cases(file string) error {
	input, err := os.Open(file)
	if err != nil {
		return err
	}
	defer input.Close()
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var one testCase
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return err
		}
		verdict := "accepted"
		if err := verify(one); err != nil {
			verdict = "refused: " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Fprintln(output, one.Name, verdict)
	}
	return lines.Err()
}

func verify(one testCase) error {
	log, err := note.NewVerifier(one.Key)
	if err != nil {
		return err
	}
	switch one.Kind {
	case "checkpoint":
		_, err = Checkpoint(one.New, log)
	case "leaf":
		_, _, err = Leaf(one.Proof, one.Leaf, log)
	case "consistency":
		err = Consistency(one.Old, one.New, one.Path, log)
	case "unit":
		_, err = Unit(one.Proof, one.Content, ed25519.PublicKey(one.Issuer), log)
	default:
		err = errors.New("unknown kind of case")
	}
	return err
}

func audit(dir, key string, names []string) error {
	log, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	kept := [][]byte{}
	for _, name := range names {
		signed, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		kept = append(kept, signed)
	}
	tree, err := Audit(dir, log, kept)
	if err == nil {
		fmt.Println("verified", tree.N, "entries")
	}
	return err
}
