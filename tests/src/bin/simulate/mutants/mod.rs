//! Proves that the simulator can fail: it must catch code that mutants break on purpose, one at a time.
//!
//! A copy of the core gets each broken piece next to the original, with a switch between them, and is built once. Then
//! each mutant runs its histories in its own process, which switches it on. So mutants break the real code, which has
//! no hook for them. A mutant that allows no switch gets its own build.

mod bench;
mod constants;
mod items;
mod list;
mod schema;
mod trial;

use std::fs;
use std::path::Path;

use list::MUTANTS;
pub(crate) use trial::{Terms, try_all};

/// One way to break the code.
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    /// The path below `core/src`.
    pub(crate) file: &'static str,
    /// The original text, which occurs once in the file.
    pub(crate) find: &'static str,
    pub(crate) replace: &'static str,
}

/// The outcome of one mutant.
enum Fate {
    /// A history broke a guarantee, with this message.
    Caught(String),
    /// No history broke a guarantee.
    Survived,
    /// Its text was not found, its build failed, or its histories did not end in time.
    Unfit(String),
}

/// The mutants whose text is not in the core of the workspace at `root`.
pub(crate) fn misplaced(root: &Path) -> Vec<String> {
    let problem = |mutant: &Mutant| {
        let why = match fs::read_to_string(root.join("core/src").join(mutant.file)) {
            Ok(text) => misfit(schema::replace(&text, mutant).err()?, mutant),
            Err(error) => format!("{} can't be read: {error}", mutant.file),
        };
        Some(format!("{}: {why}", mutant.name))
    };
    MUTANTS.iter().filter_map(problem).collect()
}

fn misfit(times: usize, mutant: &Mutant) -> String {
    format!("its text occurs {times} times in {}", mutant.file)
}

/// The number of mutants.
pub(crate) const fn count() -> usize {
    MUTANTS.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_finds_its_place() {
        let misplaced = misplaced(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        assert!(misplaced.is_empty(), "{misplaced:#?}");
    }
}
