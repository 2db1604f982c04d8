//! A copy of the core, which mutants break.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use super::Fate;
use super::constants::Sources;

/// The crates to copy, each in the folder of that name: the core and the simulator.
const CRATES: [&str; 2] = ["core", "testing"];

/// The additional crate that runs the histories.
const MANIFEST: &str = r#"[package]
name = "histories"
version = "0.0.0"
edition = "2024"

[dependencies]
lambda-jobs-core = { path = "../core" }
lambda-jobs-testing = { path = "../testing" }
"#;

/// Arguments: the number of a mutant, the number of seeds, and a time limit in seconds.
const MAIN: &str = r#"use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use lambda_jobs_testing::simulation::Simulation;

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u32>().unwrap_or(0));
    let mut arg = || args.next().unwrap_or(0);
    let (mutant, seeds, limit) = (arg(), arg(), Duration::from_secs(arg().into()));
    let (_running, ended) = channel::<()>();
    std::thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            std::process::exit(3);
        }
    });
    lambda_jobs_core::mutant::switch_on(mutant);
    let standard = Simulation::standard();
    for seed in 1..=u64::from(seeds) {
        if let Err(broken) = standard.check(seed) {
            println!("{}; seed {seed}", broken.guarantee);
            std::process::exit(1);
        }
    }
}
"#;

/// The copied core's module `mutant`.
const SWITCH: &str = r"//! The switch that all mutants stand behind.

use std::sync::atomic::{AtomicU32, Ordering};

static ON: AtomicU32 = AtomicU32::new(0);

/// Switches this mutant on, or none with 0.
pub fn switch_on(mutant: u32) {
    ON.store(mutant, Ordering::Relaxed);
}

/// Whether this mutant is on.
#[must_use]
pub fn is(mutant: u32) -> bool {
    ON.load(Ordering::Relaxed) == mutant
}
";

/// A profile that compiles fast and runs fast enough.
const PROFILE: &str = "\n[profile.dev]\ndebug = false\nincremental = false\nopt-level = 1\n";

/// The folder of the copy.
pub(super) struct Bench {
    folder: PathBuf,
}

/// Why a build failed.
pub(super) struct BuildError {
    pub(super) text: String,
    /// The file, line and column of each error.
    pub(super) places: Vec<(PathBuf, usize, usize)>,
}

impl Bench {
    /// Makes its own workspace next to the build of the workspace at `root`.
    pub(super) fn set_up(root: &Path) -> io::Result<Self> {
        let bench = Self { folder: root.join("target/mutants") };
        for name in CRATES {
            let copied = bench.folder.join(name);
            if copied.exists() {
                fs::remove_dir_all(&copied)?;
            }
            fs::create_dir_all(&copied)?;
            fs::copy(root.join(name).join("Cargo.toml"), copied.join("Cargo.toml"))?;
        }
        fs::create_dir_all(bench.folder.join("histories/src"))?;
        fs::write(bench.folder.join("histories/Cargo.toml"), MANIFEST)?;
        fs::write(bench.folder.join("histories/src/main.rs"), MAIN)?;
        fs::copy(root.join("Cargo.lock"), bench.folder.join("Cargo.lock"))?;
        let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
        let manifest = manifest.split("\n[profile").next().unwrap_or_default();
        let members = format!("members = {:?}", [&CRATES[..], &["histories"]].concat());
        let lines = manifest.lines().map(|line| if line.starts_with("members = ") { &members } else { line });
        fs::write(bench.folder.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n") + PROFILE)?;
        Ok(bench)
    }

    /// Builds the histories with these sources in place of the crates' own, and with the switch.
    pub(super) fn build(&self, sources: &Sources) -> io::Result<Result<(), BuildError>> {
        for (path, text) in sources {
            let file = self.folder.join(path);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            let is_root = path == Path::new("core/src/lib.rs");
            fs::write(
                file,
                if is_root { format!("{text}\n#[doc(hidden)]\npub mod mutant;\n") } else { text.clone() },
            )?;
        }
        fs::write(self.folder.join("core/src/mutant.rs"), SWITCH)?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let build = Command::new(cargo)
            .args(["build", "--quiet", "--message-format", "short", "--package", "histories"])
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            // Broken code leaves items unused, and constants that became functions have names in upper case.
            .env("RUSTFLAGS", "--cap-lints=allow")
            .current_dir(&self.folder)
            .output()?;
        if build.status.success() {
            return Ok(Ok(()));
        }
        let text = String::from_utf8_lossy(&build.stderr).into_owned();
        Ok(Err(BuildError { places: text.lines().filter_map(place_of_error).collect(), text }))
    }

    /// Runs this many histories with one mutant on, or with none for 0.
    pub(super) fn run(&self, mutant: usize, seeds: u64, limit: Duration) -> io::Result<Fate> {
        let told = Command::new(self.folder.join("target/debug/histories"))
            .args([mutant.to_string(), seeds.to_string(), limit.as_secs().to_string()])
            .output()?;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        Ok(match told.status.code() {
            Some(0) => Fate::Survived,
            Some(1) => Fate::Caught(text),
            Some(3) => Fate::Unfit(format!("no end after {} s", limit.as_secs())),
            _ => Fate::Unfit(format!("{}: {}", told.status, String::from_utf8_lossy(&told.stderr))),
        })
    }
}

/// The sources of the crates in the workspace at `root`, by their paths relative to it.
pub(super) fn sources(root: &Path) -> io::Result<Sources> {
    let mut sources = Sources::new();
    for name in CRATES {
        collect(root, &Path::new(name).join("src"), &mut sources)?;
    }
    Ok(sources)
}

fn collect(root: &Path, folder: &Path, sources: &mut Sources) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, sources)?;
        } else {
            sources.insert(path, fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

/// Reads `FILE:LINE:COLUMN: error: …`.
fn place_of_error(line: &str) -> Option<(PathBuf, usize, usize)> {
    let mut parts = line.splitn(4, ':');
    let (file, line, column) = (parts.next()?, parts.next()?, parts.next()?);
    let is_error = parts.next()?.trim_start().starts_with("error");
    Some((file.into(), line.parse().ok()?, column.parse().ok()?)).filter(|_| is_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_places_and_warnings_have_none() {
        let error = "core/src/lib.rs:12:5: error[E0308]: mismatched types: expected `u8`, found `u16`";
        assert_eq!(place_of_error(error), Some(("core/src/lib.rs".into(), 12, 5)));
        assert_eq!(place_of_error("core/src/lib.rs:12:5: warning: unused"), None);
        assert_eq!(place_of_error("error: could not compile `lambda-jobs-core`"), None);
    }
}
