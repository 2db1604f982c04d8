//! Proof that the simulator can fail: the code is broken on purpose, in one way at a time, and must be caught.
//!
//! The core is copied aside, a piece of its source is replaced, and histories are run with what that builds. So it is
//! the real code that is broken, without a hook for it in the code itself.

mod list;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use list::MUTANTS;

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
pub(crate) enum Fate {
    /// A history broke a guarantee; this is what was said about it.
    Caught(String),
    /// No history broke anything.
    Survived,
    /// It could not be made, or not be built.
    Unfit(String),
}

/// A copy of the core that is there to be broken.
pub(crate) struct Bench {
    folder: PathBuf,
    sources: PathBuf,
}

const MANIFEST: &str = r#"[package]
name = "histories"
version = "0.0.0"
edition = "2024"

[dependencies]
lambda-jobs-core = { path = "../core", features = ["testing"] }
"#;

const MAIN: &str = r#"fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let seeds = std::env::args().nth(1).and_then(|seeds| seeds.parse().ok()).unwrap_or(0);
    let standard = lambda_jobs_testing::simulation::Simulation::standard();
    for seed in 1..=seeds {
        if let Err(broken) = standard.check(seed) {
            println!("{}; seed {seed}", broken.guarantee);
            std::process::exit(1);
        }
    }
}
"#;

/// Quick to build, and quick enough to run.
const PROFILE: &str = "\n[profile.dev]\ndebug = false\nopt-level = 1\n";

impl Bench {
    /// Copies the core of the workspace at `root` to a workspace of its own, one for each that works at once.
    pub(crate) fn set_up(root: &Path, lane: usize) -> io::Result<Self> {
        let folder = root.join("target/mutants").join(lane.to_string());
        let bench = Self { sources: root.join("core").join("src"), folder };
        let core = bench.folder.join("core");
        if core.exists() {
            fs::remove_dir_all(&core)?;
        }
        copy(&bench.sources, &core.join("src"))?;
        fs::copy(root.join("core/Cargo.toml"), core.join("Cargo.toml"))?;
        fs::create_dir_all(bench.folder.join("histories/src"))?;
        fs::write(bench.folder.join("histories/Cargo.toml"), MANIFEST)?;
        fs::write(bench.folder.join("histories/src/main.rs"), MAIN)?;
        fs::copy(root.join("Cargo.lock"), bench.folder.join("Cargo.lock"))?;
        let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
        let manifest = manifest.split("\n[profile").next().unwrap_or_default();
        let members = r#"members = ["core", "histories"]"#;
        let lines = manifest.lines().map(|line| if line.starts_with("members = ") { members } else { line });
        fs::write(bench.folder.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n") + PROFILE)?;
        Ok(bench)
    }

    /// Breaks the code in one way, and runs the histories of so many seeds.
    pub(crate) fn try_out(&self, mutant: &Mutant, seeds: u64) -> io::Result<Fate> {
        let source = fs::read_to_string(self.sources.join(mutant.file))?;
        let broken = match source.matches(mutant.find).count() {
            1 => source.replace(mutant.find, mutant.replace),
            times => return Ok(Fate::Unfit(format!("its text occurs {times} times in {}", mutant.file))),
        };
        let file = self.folder.join("core/src").join(mutant.file);
        fs::write(&file, broken)?;
        let fate = self.run(seeds);
        fs::write(&file, source)?;
        fate
    }

    fn run(&self, seeds: u64) -> io::Result<Fate> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let build = Command::new(cargo)
            .args(["build", "--quiet", "--package", "histories"])
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .current_dir(&self.folder)
            .output()?;
        if !build.status.success() {
            return Ok(Fate::Unfit(String::from_utf8_lossy(&build.stderr).into_owned()));
        }
        let told =
            Command::new(self.folder.join("target/debug/histories")).arg(seeds.to_string()).output()?;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        Ok(match told.status.code() {
            Some(0) => Fate::Survived,
            Some(1) => Fate::Caught(text),
            _ => Fate::Unfit(format!("{}: {}", told.status, String::from_utf8_lossy(&told.stderr))),
        })
    }
}

/// All mutants.
pub(crate) const fn all() -> &'static [Mutant] {
    MUTANTS
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_finds_its_place() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
        for mutant in MUTANTS {
            let source = fs::read_to_string(sources.join(mutant.file)).unwrap();
            assert_eq!(source.matches(mutant.find).count(), 1, "{}", mutant.name);
        }
    }
}
