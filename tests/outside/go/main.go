package main

import (
	"bufio"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
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
       outside export DIR KEY         verify an exported log: checkpoint, every tile, every entry`

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "cases":
		err = cases(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "export":
		err = export(os.Args[2], os.Args[3])
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

// export checks a directory in the C2SP tlog-tiles layout from the checkpoint down: every tile hash is proved against
// the signed root, every entry hashes to its place, and each entry names the hash of the one before it.
func export(dir, key string) error {
	log, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := Checkpoint(signed, log)
	if err != nil {
		return err
	}
	proved := tlog.TileHashReader(tree, files{dir})
	prev := tlog.Hash{}
	for first := int64(0); first < tree.N; first += 256 {
		width := min(256, tree.N-first)
		indexes := []int64{}
		for at := range width {
			indexes = append(indexes, tlog.StoredHashIndex(0, first+at))
		}
		expected, err := proved.ReadHashes(indexes)
		if err != nil {
			return err
		}
		bundle, err := os.ReadFile(filepath.Join(dir, "tile/entries", place(first/256, int(width))))
		if err != nil {
			return err
		}
		for at := range width {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("entry %d is cut off", first+at)
			}
			length := 2 + int(binary.BigEndian.Uint16(bundle))
			entry := bundle[2:length]
			bundle = bundle[length:]
			if tlog.RecordHash(entry) != expected[at] {
				return fmt.Errorf("entry %d is not the one in the tree", first+at)
			}
			if len(entry) != 65 || entry[0] != 1 || tlog.Hash(entry[1:33]) != prev {
				return fmt.Errorf("entry %d does not name the one before it", first+at)
			}
			prev = expected[at]
		}
		if len(bundle) != 0 {
			return fmt.Errorf("the bundle of entry %d is too long", first)
		}
	}
	fmt.Println("verified", tree.N, "entries")
	return nil
}

// files reads tiles of height 8 from a directory; it saves nothing.
type files struct{ dir string }

func (files) Height() int                         { return 8 }
func (files) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (f files) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	list := [][]byte{}
	for _, tile := range wanted {
		data, err := os.ReadFile(filepath.Join(f.dir, fmt.Sprintf("tile/%d", tile.L), place(tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		list = append(list, data)
	}
	return list, nil
}

// place gives the path of a tile or bundle inside its level, as C2SP tlog-tiles writes it.
func place(index int64, width int) string {
	text := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		text = fmt.Sprintf("x%03d/%s", index%1000, text)
	}
	if width < 256 {
		text += fmt.Sprintf(".p/%d", width)
	}
	return text
}
