//! The folder of `--data`: one stack at a time.
//!
//! Each stack holds its queues in memory and writes them to the folder. Two stacks on one folder would each miss what
//! the other writes. So a stack locks a file there. The system releases the lock when the process ends, however it
//! ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use dynoxide::Database;

use super::StackError;

const DATABASE: &str = "lambda-jobs.sqlite";
const LOCK: &str = "lambda-jobs.lock";
/// More than any process id has.
const MOST_DIGITS: u64 = 20;

/// An open database; its folder stays locked while this value lives.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) lock: Option<File>,
}

/// Opens the database of a folder, or one in memory.
pub(super) fn open(folder: Option<&Path>) -> Result<Opened, StackError> {
    let Some(folder) = folder else {
        let database = Database::memory().map_err(|error| StackError::Data {
            folder: "in memory".to_owned(),
            reason: error.to_string(),
        })?;
        return Ok(Opened { database, lock: None });
    };
    std::fs::create_dir_all(folder).map_err(|error| data(folder, error.to_string()))?;
    let lock = lock(folder)?;
    let file = folder.join(DATABASE);
    let Some(path) = file.to_str() else { return Err(data(folder, "its name is not UTF-8".to_owned())) };
    let database = Database::new(path).map_err(|error| data(folder, error.to_string()))?;
    Ok(Opened { database, lock: Some(lock) })
}

/// Locks the file, and writes this process's id into it.
fn lock(folder: &Path) -> Result<File, StackError> {
    let refuse = |error: std::io::Error| data(folder, error.to_string());
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(LOCK));
    let mut file = opened.map_err(refuse)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = holder(&mut file);
            return Err(StackError::DataInUse { folder: folder.display().to_string(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(refuse(error)),
    }
    file.set_len(0).map_err(refuse)?;
    file.rewind().map_err(refuse)?;
    write!(file, "{}", std::process::id()).map_err(refuse)?;
    Ok(file)
}

fn data(folder: &Path, reason: String) -> StackError {
    StackError::Data { folder: folder.display().to_string(), reason }
}

/// The process that holds the lock, as far as it says so.
fn holder(file: &mut File) -> String {
    let mut id = String::new();
    let read = file.take(MOST_DIGITS).read_to_string(&mut id);
    match id.trim().parse::<u32>() {
        Ok(id) if read.is_ok() => format!("process {id}"),
        _ => "another process".to_owned(),
    }
}
