//! Checks a published log in a folder: audit DIR KEY [KEPT CHECKPOINT...]
use signed_note::{Note, StandardVerifier, VerifierList};
use std::{env, error::Error, fs, path::PathBuf, process::exit};
use tlog_tiles::{
    check_record, check_tree, prove_record, prove_tree, record_hash, stored_hash_index, Checkpoint, Hash, HashReader,
    Tile, TileHashReader, TileReader,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Folder(PathBuf);

impl Folder {
    /// A tile or bundle. The crate writes the height into the path and says "data"; C2SP tlog-tiles does not.
    fn read(&self, tile: &Tile) -> std::io::Result<Vec<u8>> {
        let path = tile.path().replace("tile/8/", "tile/").replace("tile/data/", "tile/entries/");
        fs::read(self.0.join(path))
    }
}

impl TileReader for Folder {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile| self.read(tile).map_err(|_| tlog_tiles::Error::InvalidTile);
        tiles.iter().map(read).collect()
    }
    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

fn open(signed: &[u8], key: &str) -> Outcome<Checkpoint> {
    let note = Note::from_bytes(signed)?;
    note.verify(&VerifierList::new(vec![Box::new(StandardVerifier::new(key)?)]))?;
    let checkpoint = Checkpoint::from_bytes(note.text()).map_err(|_| "this is no checkpoint")?;
    if key.split('+').next() != Some(checkpoint.origin()) {
        return Err("the checkpoint of another log".into());
    }
    Ok(checkpoint)
}

fn audit(folder: &Folder, key: &str, kept: &[String]) -> Outcome<u64> {
    let head = open(&fs::read(folder.0.join("checkpoint"))?, key)?;
    let (size, root) = (head.size(), *head.hash());
    let proved = TileHashReader::new(size, root, folder);
    let mut prev = Hash::default();
    for first in (0..size).step_by(256) {
        let width = 256.min(size - first);
        let mut bundle = &folder.read(&Tile::new(8, 0, first / 256, width as u32, true))?[..];
        let indexes: Vec<u64> = (first..first + width).map(|leaf| stored_hash_index(0, leaf)).collect();
        for (index, expected) in (first..).zip(proved.read_hashes(&indexes)?) {
            let (length, rest) = bundle.split_at_checked(2).ok_or("a bundle is cut off")?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let (leaf, rest) = rest.split_at_checked(length).ok_or("a bundle is cut off")?;
            bundle = rest;
            if record_hash(leaf) != expected || leaf.len() < 81 || leaf[0] != 2 || leaf[1..33] != prev.0 {
                return Err(format!("leaf {index} is not in the tree, or not after the one before it").into());
            }
            check_record(&prove_record(size, index, &proved)?, size, root, index, expected)?;
            prev = expected;
        }
        if !bundle.is_empty() {
            return Err("a bundle is too long".into());
        }
    }
    for name in kept {
        let older = open(&fs::read(name)?, key)?;
        let path = prove_tree(size, older.size(), &proved)?;
        check_tree(&path, size, root, older.size(), *older.hash())?;
    }
    Ok(size)
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match audit(&Folder(PathBuf::from(&arguments[1])), &arguments[2], &arguments[3..]) {
        Ok(size) => println!("verified {size} entries"),
        Err(error) => {
            eprintln!("refused: {error}");
            exit(1)
        }
    }
}
