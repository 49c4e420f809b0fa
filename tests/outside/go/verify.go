// Package main checks what a Marchamo log hands out, with Go's sumdb packages and the standard library only.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint opens a signed checkpoint: the key must be the log's, and the log must be the one the key names.
func Checkpoint(signed []byte, log note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(log))
	if err != nil {
		return tlog.Tree{}, err
	}
	for _, line := range opened.Sigs {
		// The note package lets the last character of the base64 vary; one signature should have one spelling.
		if _, err := base64.StdEncoding.Strict().DecodeString(line.Base64); err != nil {
			return tlog.Tree{}, err
		}
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != log.Name() {
		return tlog.Tree{}, errors.New("this is not a checkpoint of that log")
	}
	size, err := decimal(lines[1])
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := hash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// Leaf checks a tlog-proof: the log signed a tree that holds this leaf. It gives the tree and the leaf's index.
func Leaf(proof, leaf []byte, log note.Verifier) (tlog.Tree, int64, error) {
	head, signed, found := bytes.Cut(proof, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		return tlog.Tree{}, 0, errors.New("this is not a tlog-proof")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:] // not authenticated, not used
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return tlog.Tree{}, 0, errors.New("the proof names no index")
	}
	index, err := decimal(strings.TrimPrefix(lines[0], "index "))
	if err != nil {
		return tlog.Tree{}, 0, err
	}
	path, err := hashes(lines[1:])
	if err != nil {
		return tlog.Tree{}, 0, err
	}
	tree, err := Checkpoint(signed, log)
	if err != nil {
		return tlog.Tree{}, 0, err
	}
	return tree, index, tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(leaf))
}

// Consistency checks that the log only grew between two checkpoints.
func Consistency(oldSigned, newSigned []byte, path []string, log note.Verifier) error {
	older, err := Checkpoint(oldSigned, log)
	if err != nil {
		return err
	}
	newer, err := Checkpoint(newSigned, log)
	if err != nil {
		return err
	}
	proof, err := hashes(path)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, newer.N, newer.Hash, older.N, older.Hash)
}

// Unit checks the joined proof of one unit: content is the signed bytes of its code, issuer the key of its firm.
// It gives the payload of the firm's batch statement.
func Unit(proof, content []byte, issuer ed25519.PublicKey, log note.Verifier) (map[string]any, error) {
	var unit struct {
		V          int             `json:"v"`
		Position   int64           `json:"position"`
		BatchSize  int64           `json:"batch_size"`
		BatchPath  []string        `json:"batch_path"`
		UnitSalt   string          `json:"unit_salt"`
		BatchEntry json.RawMessage `json:"batch_entry"`
		Prev       string          `json:"prev"`
		LeafProof  string          `json:"leaf_proof"`
	}
	var entry struct {
		Salt string `json:"salt"`
		Body string `json:"body"`
	}
	if err := object(proof, &unit, "v", "position", "batch_size", "batch_path", "unit_salt", "batch_entry", "prev",
		"leaf_proof"); err != nil {
		return nil, err
	}
	if err := object(unit.BatchEntry, &entry, "salt", "body"); err != nil {
		return nil, err
	}
	if unit.V != 1 {
		return nil, errors.New("unknown version")
	}
	unitSalt, err := hash(unit.UnitSalt)
	if err != nil {
		return nil, err
	}
	batchPath, err := hashes(unit.BatchPath)
	if err != nil {
		return nil, err
	}
	entrySalt, err := hash(entry.Salt)
	if err != nil {
		return nil, err
	}
	prev, err := hash(unit.Prev)
	if err != nil {
		return nil, err
	}

	// 1. The batch statement lies in the body; its firm signed root and size of the batch tree.
	var body struct {
		Statement string    `json:"statement"`
		Subjects  []subject `json:"subjects"`
	}
	if err := json.Unmarshal([]byte(entry.Body), &body); err != nil {
		return nil, err
	}
	payload, err := Statement(body.Statement, issuer)
	if err != nil {
		return nil, err
	}
	stated, _ := payload["root"].(string)
	root, err := hash(stated)
	if err != nil {
		return nil, err
	}
	if size, ok := payload["size"].(float64); !ok || int64(size) != unit.BatchSize {
		return nil, errors.New("the statement states another size")
	}

	// 2. The unit is in the batch tree: its leaf is the salt followed by the signed bytes of the code.
	leaf := tlog.RecordHash(append(unitSalt[:], content...))
	if err := tlog.CheckRecord(batchPath, unit.BatchSize, root, unit.Position, leaf); err != nil {
		return nil, err
	}

	// 3. Salt and body open the commitment; version, prev, commitment and the subjects' tags are the leaf of the log.
	commitment := sha256.Sum256(append(entrySalt[:], entry.Body...))
	logLeaf := append(append([]byte{2}, prev[:]...), commitment[:]...)
	for _, one := range body.Subjects {
		logLeaf = append(logLeaf, one.tag()...)
	}

	// 4. The log signed a tree that holds that leaf.
	_, _, err = Leaf([]byte(unit.LeafProof), logLeaf, log)
	return payload, err
}

// subject is what an entry is about, and which entry about it this is.
type subject struct {
	name     string
	sequence uint64
}

func (s *subject) UnmarshalJSON(data []byte) error {
	pair := []any{&s.name, &s.sequence}
	if err := json.Unmarshal(data, &pair); err != nil || len(pair) != 2 {
		return errors.New("a subject is a pair")
	}
	_, err := hash(s.name)
	return err
}

func (s *subject) tag() []byte {
	name, _ := hash(s.name)
	text := append([]byte("marchamo subject tag v1\n"), name[:]...)
	digest := sha256.Sum256(binary.BigEndian.AppendUint64(text, s.sequence))
	return digest[:16]
}

// Statement checks a compact JWS of type marchamo-statement+jws and gives its payload.
func Statement(token string, issuer ed25519.PublicKey) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("a statement has three parts")
	}
	encoding := base64.RawURLEncoding.Strict()
	head, err := encoding.DecodeString(parts[0])
	if err != nil {
		return nil, err
	}
	var header struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
		Typ string `json:"typ"`
	}
	if err := object(head, &header, "alg", "kid", "typ"); err != nil {
		return nil, err
	}
	if header.Alg != "EdDSA" || header.Typ != "marchamo-statement+jws" {
		return nil, errors.New("another algorithm or type of statement")
	}
	signature, err := encoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(issuer, []byte(parts[0]+"."+parts[1]), signature) {
		return nil, errors.New("the statement was not signed by this key")
	}
	data, err := encoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	payload := map[string]any{}
	return payload, json.Unmarshal(data, &payload)
}

// object reads a JSON object that has exactly these members. (Go alone would let "Position" pass for "position".)
func object(data []byte, into any, names ...string) error {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := members[name]; !ok || len(members) != len(names) {
			return fmt.Errorf("expected exactly the members %v", names)
		}
	}
	return json.Unmarshal(data, into)
}

func hashes(lines []string) ([]tlog.Hash, error) {
	list := []tlog.Hash{}
	for _, line := range lines {
		step, err := hash(line)
		if err != nil {
			return nil, err
		}
		list = append(list, step)
	}
	return list, nil
}

func hash(text string) (tlog.Hash, error) {
	parsed, err := tlog.ParseHash(text)
	if err == nil && parsed.String() != text {
		err = errors.New("a hash in another spelling")
	}
	return parsed, err
}

func decimal(text string) (int64, error) {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(value, 10) != text || value < 0 {
		return 0, errors.New("a number in another spelling")
	}
	return value, nil
}
