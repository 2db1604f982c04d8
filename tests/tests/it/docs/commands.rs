//! Every command line of the pages parses.

use std::collections::BTreeSet;

use clap::{CommandFactory, Parser};
use lambda_jobs::args::Cli;

use super::page::{files, pages, project};
use crate::template::Template;

/// Programs of others that users run. The tests can't check their arguments.
const OTHERS: [&str; 10] =
    ["aws", "cargo-lambda", "export", "ministack", "npm", "pip", "rustup", "sam", "sed", "unset"];
/// Flags of those programs in sentences.
const OTHERS_FLAGS: [&str; 4] = ["--arm64", "--endpoint-url", "--no-default-features", "--quick"];

/// The lines of a script without comments, with continued lines joined.
fn lines(script: &str) -> Vec<Vec<String>> {
    script.replace("\\\n", " ").lines().map(words).filter(|words| !words.is_empty()).collect()
}

/// Splits a line into words, as a shell does.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "a quote does not end: {line}");
    words.extend(word);
    words
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// The error in a command line, if any.
fn check(words: &[String]) -> Result<(), String> {
    let start = words.iter().position(|word| !is_assignment(word)).unwrap_or(words.len());
    let Some((program, args)) = words[start..].split_first() else { return Ok(()) };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match (program.as_str(), args.split_first()) {
        ("lambda-jobs", _) => parses(&args),
        ("cargo", Some((&"run", args))) => runs(args),
        ("cargo", Some((&"bench", args))) => benchmarks(args),
        ("cargo", Some((&"test" | &"build" | &"lambda", _))) => names_packages(&args),
        ("sam", _) => names_parameters(&args),
        (script, _) if script.starts_with(".ci/") => exists(script),
        (other, _) if OTHERS.contains(&other) => Ok(()),
        (other, _) => Err(format!("no test knows the program {other}")),
    }
}

fn parses(args: &[&str]) -> Result<(), String> {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    match Cli::try_parse_from(std::iter::once("lambda-jobs").chain(args.iter().copied())) {
        Err(error) if !matches!(error.kind(), DisplayHelp | DisplayVersion) => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// `cargo bench` with these arguments: one of the benchmarks.
fn benchmarks(args: &[&str]) -> Result<(), String> {
    names_packages(args)?;
    let Some(benchmark) = args.iter().position(|arg| *arg == "--").and_then(|end| args.get(end + 1)) else {
        return Ok(());
    };
    let file = benchmark.replace('-', "_");
    let places = [format!("tests/benches/bench/{file}.rs"), format!("tests/benches/bench/{file}/mod.rs")];
    let found = places.iter().any(|place| exists(place).is_ok());
    if found { Ok(()) } else { Err(format!("there is no benchmark {benchmark}")) }
}

/// `cargo run` with these arguments: the command, another binary or an example.
fn runs(args: &[&str]) -> Result<(), String> {
    let end = args.iter().position(|arg| *arg == "--").unwrap_or(args.len());
    let (cargos, own) = (&args[..end], args.get(end + 1..).unwrap_or_default());
    let value = |flag| cargos.iter().position(|arg| *arg == flag).and_then(|at| cargos.get(at + 1));
    names_packages(cargos)?;
    if let Some(example) = value("--example") {
        return exists(&format!("tests/examples/{example}.rs"));
    }
    let Some(binary) = value("--bin") else { return parses(own) };
    let source = binary_source(binary)?;
    let flags = own.iter().filter_map(|arg| arg.strip_prefix("--"));
    match flags.map(|flag| flag.replace('-', "_")).find(|flag| !source.contains(&format!("    {flag}: "))) {
        Some(flag) => Err(format!("{binary} has no flag {flag}")),
        None => Ok(()),
    }
}

fn binary_source(name: &str) -> Result<String, String> {
    let places = [format!("tests/src/bin/{name}.rs"), format!("tests/src/bin/{name}/main.rs")];
    let found = places.iter().find_map(|place| std::fs::read_to_string(project().join(place)).ok());
    found.ok_or_else(|| format!("there is no binary {name}"))
}

fn exists(path: &str) -> Result<(), String> {
    if project().join(path).exists() { Ok(()) } else { Err(format!("there is no {path}")) }
}

fn names_packages(args: &[&str]) -> Result<(), String> {
    for pair in args.windows(2).filter(|pair| matches!(pair[0], "-p" | "--package")) {
        let named = format!("name = \"{}\"", pair[1]);
        let mut manifests = files(".", "/Cargo.toml").into_iter();
        if !manifests.any(|path| std::fs::read_to_string(path).unwrap().contains(&named)) {
            return Err(format!("there is no package {}", pair[1]));
        }
    }
    Ok(())
}

fn names_parameters(args: &[&str]) -> Result<(), String> {
    let template = Template::read();
    let parameters = template.section("Parameters");
    let overrides = args.iter().skip_while(|arg| **arg != "--parameter-overrides").skip(1);
    let mut names = overrides.filter_map(|arg| Some(arg.split_once('=')?.0));
    match names.find(|name| parameters.get(*name).is_none()) {
        Some(name) => Err(format!("template.yaml has no parameter {name}")),
        None => Ok(()),
    }
}

#[test]
fn every_command_line_is_one_that_its_program_takes() {
    let mut checked = 0;
    for page in pages() {
        let scripts = page.blocks().into_iter().filter(|block| block.language == "sh");
        let mut found: Vec<_> = scripts.flat_map(|block| lines(&block.code)).collect();
        let inline = page.inline_code();
        found.extend(inline.iter().filter(|code| is_command(code)).map(|code| words(code)));
        for words in found {
            check(&words).unwrap_or_else(|error| panic!("{}: {}\n{error}", page.name, words.join(" ")));
            checked += 1;
        }
    }
    assert!(checked > 80, "only {checked} command lines were found");
}

fn is_command(code: &str) -> bool {
    code.starts_with("cargo run") || code.starts_with("lambda-jobs ") || code.starts_with(".ci/")
}

/// The long flags of a command and its subcommands.
fn flags(command: &clap::Command, all: &mut BTreeSet<String>) {
    all.extend(command.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?))));
    command.get_subcommands().for_each(|below| flags(below, all));
}

#[test]
fn every_flag_that_a_sentence_names_exists() {
    let mut known: BTreeSet<String> = OTHERS_FLAGS.map(str::to_owned).into();
    flags(&Cli::command(), &mut known);
    for page in pages() {
        for code in page.inline_code() {
            let end = code.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(code.len());
            let flag = &code[..end];
            assert!(
                !flag.starts_with("--") || flag == "--" || known.contains(flag),
                "{}: there is no flag {flag}",
                page.name
            );
        }
    }
}

#[test]
fn a_command_line_that_is_wrong_is_found() {
    for (line, error) in [
        ("cargo run -- statsu JOB_ID", "unrecognized subcommand 'statsu'"),
        ("cargo run -- status JOB_ID --locl", "unexpected argument '--locl'"),
        ("lambda-jobs enqueue greet --payload '{'", "expected JSON"),
        ("cargo run -p lambda-jobs-test --bin simulate", "there is no package lambda-jobs-test"),
        ("cargo run --release -p lambda-jobs-tests --bin simulat", "there is no binary simulat"),
        ("cargo bench -p lambda-jobs-tests -- job 5", "there is no benchmark job"),
        ("cargo run -p lambda-jobs-tests --bin simulate -- --seed 1", "simulate has no flag seed"),
        ("A=b cargo run --example gret", "there is no tests/examples/gret.rs"),
        (".ci/rnu --quick", "there is no .ci/rnu"),
        ("sam deploy --parameter-overrides Architecure=arm64", "no parameter Architecure"),
        ("make all", "no test knows the program make"),
    ] {
        let found = check(&words(line)).unwrap_err();
        assert!(found.contains(error), "{line}: {found}");
    }
    assert_eq!(words("a 'b c'  \"d\" e#f # g"), ["a", "b c", "d", "e#f"]);
}
