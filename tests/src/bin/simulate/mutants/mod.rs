//! Proof that the simulator can fail: the code is broken on purpose, in one way at a time, and must be caught.
//!
//! A copy of the core gets each broken piece beside the original, with a switch between them, and is built once. Then
//! each mutant runs its histories in a process of its own, which switches it on. So the real code is broken, and has
//! no hook for it. A mutant that allows no switch gets a build of its own.

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

/// One way in which the code is broken.
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    /// Below `core/src`.
    pub(crate) file: &'static str,
    /// Occurs once in the file.
    pub(crate) find: &'static str,
    pub(crate) replace: &'static str,
}

/// What became of one mutant.
enum Fate {
    /// A history broke a guarantee; this is what was said about it.
    Caught(String),
    /// No history broke anything.
    Survived,
    /// Its text was not found, its build failed, or its histories did not end in time.
    Unfit(String),
}

/// Which mutants don't find their text in the core of the workspace at `root`.
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

/// How many mutants there are.
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
