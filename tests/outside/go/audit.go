package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Audit checks a published log in a folder (C2SP tlog-tiles) from its signed checkpoint down: every tile and bundle
// that is there and every one that must be, the chain of the leaves, the path of each leaf (of 10,000 in a larger log),
// and that the log only grew between any two of the kept checkpoints and today's.
func Audit(dir string, log note.Verifier, kept [][]byte) (tlog.Tree, error) {
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, err := Checkpoint(signed, log)
	if err != nil {
		return tlog.Tree{}, err
	}
	folder := folder{dir, tree.N, map[string][]byte{}}
	// From here on no hash is used that TileHashReader has not proved against the signed root.
	proved := tlog.TileHashReader(tree, folder)
	if err := folder.check(proved); err != nil {
		return tree, err
	}
	for _, tile := range needed(tree.N) {
		if _, err := folder.read(tile); err != nil {
			return tree, err
		}
	}
	if err := folder.chain(); err != nil {
		return tree, err
	}
	for index := int64(0); index < tree.N; index += 1 + tree.N/10_000 {
		leaf, err := proved.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return tree, err
		}
		path, err := tlog.ProveRecord(tree.N, index, proved)
		if err != nil {
			return tree, err
		}
		if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, leaf[0]); err != nil {
			return tree, err
		}
	}
	return tree, grown(append(kept, signed), log, proved)
}

// grown checks every pair of checkpoints: the log changed nothing that it had shown.
func grown(checkpoints [][]byte, log note.Verifier, proved tlog.HashReader) error {
	for _, older := range checkpoints {
		for _, newer := range checkpoints {
			first, err := Checkpoint(older, log)
			if err != nil {
				return err
			}
			second, err := Checkpoint(newer, log)
			if err != nil || first.N > second.N || first.N == 0 {
				continue // the other way round, or nothing to compare with: every log extends the empty one
			}
			path, err := tlog.ProveTree(second.N, first.N, proved)
			if err != nil {
				return err
			}
			if err := tlog.CheckTree(path, second.N, second.Hash, first.N, first.Hash); err != nil {
				return fmt.Errorf("the checkpoints of %d and %d: %w", first.N, second.N, err)
			}
		}
	}
	return nil
}

// needed names the tiles and bundles (level -1) that a log of this size must have.
func needed(size int64) []tlog.Tile {
	tiles := []tlog.Tile{}
	for level, count := 0, size; count > 0; level, count = level+1, count>>8 {
		for index := int64(0); index<<8 < count; index++ {
			width := int(min(256, count-index<<8))
			tiles = append(tiles, tlog.Tile{H: 8, L: level, N: index, W: width})
			if level == 0 {
				tiles = append(tiles, tlog.Tile{H: 8, L: -1, N: index, W: width})
			}
		}
	}
	return tiles
}

// folder reads the files of a published log of this size; each once.
type folder struct {
	dir   string
	size  int64
	cache map[string][]byte
}

func (folder) Height() int                         { return 8 }
func (folder) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (f folder) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	list := [][]byte{}
	for _, tile := range wanted {
		data, err := f.read(tile)
		if err != nil {
			return nil, err
		}
		list = append(list, data)
	}
	return list, nil
}

func (f folder) read(tile tlog.Tile) ([]byte, error) {
	// Go's checksum database writes the height into the path and calls an entry bundle "data"; C2SP does not.
	path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
	path = strings.Replace(path, "tile/data/", "tile/entries/", 1)
	if data, ok := f.cache[path]; ok {
		return data, nil
	}
	data, err := os.ReadFile(filepath.Join(f.dir, path))
	if err == nil {
		f.cache[path] = data
	}
	return data, err
}

// check compares each file below tile/ with the tree: also partial tiles that were written for earlier checkpoints.
func (f folder) check(proved tlog.HashReader) error {
	return filepath.WalkDir(filepath.Join(f.dir, "tile"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil && errors.Is(err, fs.ErrNotExist) {
			return nil // what must be there is asked for elsewhere
		}
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(f.dir, path)
		if err != nil {
			return err
		}
		name := strings.Replace(filepath.ToSlash(relative), "tile/entries/", "tile/data/", 1)
		tile, err := tlog.ParseTilePath("tile/8/" + strings.TrimPrefix(name, "tile/"))
		if err != nil {
			return fmt.Errorf("%s is no tile: %w", relative, err)
		}
		if err := f.compare(tile, proved); err != nil {
			return fmt.Errorf("%s: %w", relative, err)
		}
		return nil
	})
}

func (f folder) compare(tile tlog.Tile, proved tlog.HashReader) error {
	if level := max(tile.L, 0); level > 7 || tile.N > f.size || tile.N<<8+int64(tile.W) > f.size>>(8*level) {
		return errors.New("the checkpoint covers no such tile")
	}
	data, err := f.read(tile)
	if err != nil {
		return err
	}
	indexes := []int64{}
	for at := range int64(tile.W) {
		indexes = append(indexes, tlog.StoredHashIndex(8*max(tile.L, 0), tile.N<<8+at))
	}
	expected, err := proved.ReadHashes(indexes)
	if err != nil {
		return err
	}
	hashes := []byte{}
	if tile.L < 0 {
		entries, err := entries(data, tile.W)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			digest := tlog.RecordHash(entry)
			hashes = append(hashes, digest[:]...)
		}
	} else {
		hashes = data
	}
	if len(hashes) != len(expected)*tlog.HashSize {
		return errors.New("the file has another length")
	}
	for at, digest := range expected {
		if tlog.Hash(hashes[at*tlog.HashSize:][:tlog.HashSize]) != digest {
			return fmt.Errorf("number %d is not what the tree holds", at)
		}
	}
	return nil
}

// chain checks that each leaf is of a known form and names the hash of the one before it.
func (f folder) chain() error {
	prev := tlog.Hash{}
	for _, tile := range needed(f.size) {
		if tile.L >= 0 {
			continue
		}
		data, err := f.read(tile)
		if err != nil {
			return err
		}
		leaves, err := entries(data, tile.W)
		if err != nil {
			return err
		}
		for at, leaf := range leaves {
			if len(leaf) < 81 || (len(leaf)-65)%16 != 0 || leaf[0] != 2 || tlog.Hash(leaf[1:33]) != prev {
				return fmt.Errorf("leaf %d is malformed or does not name the one before it", tile.N<<8+int64(at))
			}
			prev = tlog.RecordHash(leaf)
		}
	}
	return nil
}

// entries parts a bundle: each entry stands behind its length in two bytes.
func entries(bundle []byte, width int) ([][]byte, error) {
	list := [][]byte{}
	for len(bundle) >= 2 && len(bundle) >= 2+int(binary.BigEndian.Uint16(bundle)) {
		length := 2 + int(binary.BigEndian.Uint16(bundle))
		list = append(list, bundle[2:length])
		bundle = bundle[length:]
	}
	if len(bundle) != 0 || len(list) != width {
		return nil, errors.New("the bundle is cut off or too long")
	}
	return list, nil
}
