//! Reads a line of JSON and does what a word in it says, with the standard library alone.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks through its standard streams"
)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).is_err() {
        return ExitCode::from(9);
    }
    let says = |word: &str| line.contains(&format!("\"case\":\"{word}\""));
    if says("finding") {
        println!("looking");
        println!(
            "{{\"infinity.finding\": {{\"rule\": \"demo/tabs\", \"level\": \"warning\", \"message\": \"a tab\", \"path\": \"a.txt\", \"line\": 2}}}}"
        );
        println!("looked at one file");
    } else if says("fails") {
        eprintln!("what went wrong");
        println!("nothing works today");
        return ExitCode::from(3);
    } else if says("flood") {
        let line = "x".repeat(1023);
        for _ in 0..100_000 {
            println!("{line}");
        }
    } else if says("reads") {
        match std::fs::read_to_string("/etc/passwd") {
            Ok(text) => println!("{text}"),
            Err(error) => {
                println!("{error}");
                return ExitCode::FAILURE;
            }
        }
    } else if says("panics") {
        panic!("on purpose");
    } else {
        // What came in is what goes out.
        print!("{line}");
    }
    ExitCode::SUCCESS
}
