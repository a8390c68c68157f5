//! Runs a program on a kernel that does not know `openat2`, as far as the program can tell: the way in which files are opened then is another one.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// `openat2(2)`: the same number on every architecture.
const OPENAT2: i64 = 437;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        return ExitCode::from(2);
    };
    let rules = [(OPENAT2, Vec::new())].into_iter().collect();
    let filter = std::env::consts::ARCH.try_into().and_then(|architecture| {
        seccompiler::SeccompFilter::new(
            rules,
            seccompiler::SeccompAction::Allow,
            seccompiler::SeccompAction::Errno(
                rustix::io::Errno::NOSYS.raw_os_error().cast_unsigned(),
            ),
            architecture,
        )
    });
    let filter: Result<seccompiler::BpfProgram, _> = filter.and_then(TryInto::try_into);
    let Ok(filter) = filter else {
        return ExitCode::FAILURE;
    };
    if seccompiler::apply_filter(&filter).is_err() {
        return ExitCode::FAILURE;
    }
    // Comes back only when the program cannot be run.
    let _ = Command::new(program).args(arguments).exec();
    ExitCode::FAILURE
}
