#![allow(clippy::all, clippy::print_stdout, clippy::allow_attributes_without_reason)]
use infinity_sdk::testing::TestHost;
fn main() {
    let root = std::env::args().nth(1).unwrap();
    let exclude: Vec<String> = std::env::args().skip(2).collect();
    let start = std::time::Instant::now();
    let (report, _) = TestHost::new()
        .setting("roots", serde_json::json!([{"path": root}]))
        .setting("exclude", exclude)
        .run(validation::run, "null");
    let report = report.unwrap();
    for f in &report.findings {
        let l = f.location.as_ref().unwrap();
        println!("{}\t{}:{}:{}\t{}", f.rule, l.path, l.line.unwrap_or(0), l.column.unwrap_or(0), f.message);
    }
    println!("{} {:?} {:?}", report.summary, report.output, start.elapsed());
}
