//! Tries mutants: those that allow a switch in one build, and the others in builds of their own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::bench::{Bench, BuildError, sources};
use super::constants::{Sources, soften};
use super::{Fate, MUTANTS, Mutant, misfit, schema};

/// The number that means no mutant.
const NONE: usize = 0;

/// What a mutant must survive.
pub(crate) struct Terms {
    pub(crate) seeds: u64,
    /// The time limit of a mutant's histories.
    pub(crate) limit: Duration,
    /// How many mutants run at once.
    pub(crate) threads: usize,
}

/// Tries every mutant of the core in the workspace at `root`. Returns whether all mutants were caught, and nothing else
/// was.
pub(crate) fn try_all(root: &Path, terms: Terms) -> io::Result<bool> {
    let begun = Instant::now();
    let mut trial = Trial {
        bench: Bench::set_up(root)?,
        sources: sources(root)?,
        terms,
        caught: AtomicUsize::new(0),
        is_sound: AtomicBool::new(true),
        times: Times::default(),
    };
    trial.run()?;
    let (caught, all) = (trial.caught.into_inner(), MUTANTS.len());
    let Times { builds, building, running } = trial.times;
    println!("mutants caught: {caught} of {all}");
    println!(
        "builds: {builds} in {} s; histories: {} s; all: {} s",
        building.as_secs(),
        running.as_secs(),
        begun.elapsed().as_secs()
    );
    Ok(caught == all && trial.is_sound.into_inner())
}

struct Trial {
    bench: Bench,
    sources: Sources,
    terms: Terms,
    caught: AtomicUsize,
    /// Returns whether the code survives with all mutants off.
    is_sound: AtomicBool,
    times: Times,
}

#[derive(Default)]
struct Times {
    builds: usize,
    building: Duration,
    running: Duration,
}

impl Trial {
    fn run(&mut self) -> io::Result<()> {
        let mut placed = Vec::new();
        for (number, mutant) in (NONE + 1..).zip(MUTANTS) {
            match schema::replace(text_of(&self.sources, mutant), mutant) {
                Ok(_) => placed.push(number),
                Err(times) => self.tell(number, &Fate::Unfit(misfit(times, mutant)), Duration::ZERO),
            }
        }
        let (switched, alone) = self.build_switched(placed)?;
        self.run_histories(&[&[NONE], &switched[..]].concat());
        for number in alone {
            self.try_alone(number)?;
        }
        Ok(())
    }

    /// Builds these mutants behind switches. Returns those in the build, and those that allow no switch.
    fn build_switched(&mut self, mut switched: Vec<usize>) -> io::Result<(Vec<usize>, Vec<usize>)> {
        let mut alone = Vec::new();
        loop {
            let (sources, left) = with_switches(&self.sources, &switched);
            switched.retain(|number| !left.contains(number));
            alone.extend(left);
            let Err(error) = self.build(&sources)? else { return Ok((switched, alone)) };
            let blamed = blamed(&sources, &error, &switched);
            if blamed.is_empty() {
                return Err(io::Error::other(error.text));
            }
            switched.retain(|number| !blamed.contains(number));
            alone.extend(blamed);
        }
    }

    /// Builds one mutant in place of the original, and runs the histories against it.
    fn try_alone(&mut self, number: usize) -> io::Result<()> {
        let mutant = mutant(number);
        println!("alone     {} allows no switch and has a build of its own", mutant.name);
        let mut sources = self.sources.clone();
        if let Ok(text) = schema::replace(text_of(&sources, mutant), mutant) {
            sources.insert(path_of(mutant), text);
        }
        match self.build(&sources)? {
            Ok(()) => self.run_histories(&[number]),
            Err(error) => self.tell(number, &Fate::Unfit(error.text), Duration::ZERO),
        }
        Ok(())
    }

    fn build(&mut self, sources: &Sources) -> io::Result<Result<(), BuildError>> {
        let begun = Instant::now();
        let built = self.bench.build(sources);
        self.times.builds += 1;
        self.times.building += begun.elapsed();
        built
    }

    /// Runs the histories against each of these mutants, in its own process.
    fn run_histories(&mut self, numbers: &[usize]) {
        let begun = Instant::now();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let begun = Instant::now();
                let fate = self.bench.run(*number, self.terms.seeds, self.terms.limit);
                let fate = fate.unwrap_or_else(|error| Fate::Unfit(error.to_string()));
                self.tell(*number, &fate, begun.elapsed());
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.terms.threads {
                scope.spawn(work);
            }
        });
        self.times.running += begun.elapsed();
    }

    /// Prints the outcome of a mutant, and stores it.
    fn tell(&self, number: usize, fate: &Fate, time: Duration) {
        let (seeds, time) = (self.terms.seeds, time.as_secs());
        if number == NONE {
            let (Fate::Caught(why) | Fate::Unfit(why)) = fate else {
                return println!("sound     no mutant at all ({seeds} seeds, {time} s)");
            };
            self.is_sound.store(false, Ordering::Relaxed);
            return println!("UNSOUND   no mutant at all: {}", why.trim());
        }
        let name = mutant(number).name;
        match fate {
            Fate::Caught(how) => {
                self.caught.fetch_add(1, Ordering::Relaxed);
                println!("caught    {name} ({}, {time} s)", how.trim());
            }
            Fate::Survived => println!("SURVIVED  {name} ({seeds} seeds, {time} s)"),
            Fate::Unfit(why) => println!("UNFIT     {name}: {why}"),
        }
    }
}

const fn mutant(number: usize) -> &'static Mutant {
    &MUTANTS[number - NONE - 1]
}

fn path_of(mutant: &Mutant) -> PathBuf {
    Path::new("core/src").join(mutant.file)
}

fn text_of<'a>(sources: &'a Sources, mutant: &Mutant) -> &'a str {
    sources.get(&path_of(mutant)).map_or("", String::as_str)
}

/// The sources with these mutants behind switches, and the mutants that allow none.
fn with_switches(sources: &Sources, numbers: &[usize]) -> (Sources, Vec<usize>) {
    let (mut switched, mut left) = (sources.clone(), Vec::new());
    for (path, text) in &mut switched {
        let here = numbers.iter().map(|number| (*number, mutant(*number)));
        let here: Vec<_> = here.filter(|(_, mutant)| path_of(mutant) == *path).collect();
        let file = schema::switch(text, &here);
        *text = file.text;
        left.extend(file.left);
    }
    (soften(&switched), left)
}

/// The mutants that may have broken the build of these sources.
///
/// An error far from every mutant comes from a constant that became a function. Then all such mutants are suspects.
fn blamed(sources: &Sources, error: &BuildError, numbers: &[usize]) -> Vec<usize> {
    let mut blamed = Vec::new();
    for (path, line, column) in &error.places {
        let Some(text) = sources.get(path) else { continue };
        let lines = text.split_inclusive('\n').take(line - 1).map(str::len);
        let place = lines.sum::<usize>() + column - 1;
        blamed.extend(schema::blamed(text, place, numbers));
    }
    if blamed.is_empty() {
        let constants = numbers.iter().filter(|number| mutant(**number).find.contains("const "));
        blamed.extend(constants);
    }
    blamed.sort_unstable();
    blamed.dedup();
    blamed
}
