//! Arguments to application to exit code.

use clap::Parser as _;
use infinity::cli::{Cli, Command};
use infinity::launcher::{Program, compile_worker};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The compile child limits its own memory and needs no runtime.
    if let Command::CompileWorker { job } = &cli.command {
        return compile_worker(job);
    }
    // Two TLS providers in one process panic at the first connection: this is the one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .thread_name("host")
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            infinity::diagnostics::error(&format!("the runtime cannot be made: {error}"), None);
            return ExitCode::FAILURE;
        }
    };
    let program = Program::default();
    let code = runtime.block_on(async {
        let code = infinity::cli::execute(cli, &program).await;
        match program.close().await {
            Ok(()) => code,
            Err(error) => {
                infinity::diagnostics::error(&format!("{error:#}"), None);
                ExitCode::FAILURE
            }
        }
    });
    // A blocking call that hangs must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}
