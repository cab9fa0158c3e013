//! Runs many seeds: `cargo run -p sluice-sim --release --example seeds -- [count] [first]`, or one in
//! detail: `-- 1 <seed> verbose`.
#![expect(clippy::print_stdout, reason = "a command")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use sluice_sim::run_seed;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| {
        let argument = arguments.next();
        argument.and_then(|a| a.parse().ok()).unwrap_or(default)
    };
    let (count, first): (u64, u64) = (number(1000), number(0));
    let verbose = std::env::args().any(|a| a == "verbose");
    std::panic::set_hook(Box::new(|panic| println!("{panic}")));
    let (next, failed, began) = (AtomicU64::new(first), AtomicU64::new(0), Instant::now());
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let report = run_seed(seed);
                    if verbose {
                        println!(
                            "{} frames, {} packets, trace {:x}",
                            report.frames, report.packets, report.trace
                        );
                        println!("{}", report.state);
                        for line in &report.script {
                            println!("  {line}");
                        }
                    }
                    if report.violations.is_empty() {
                        continue;
                    }
                    failed.fetch_add(1, Ordering::Relaxed);
                    println!("seed {seed}: {} violations", report.violations.len());
                    for violation in report.violations.iter().take(if verbose { 20 } else { 4 }) {
                        println!("  {:?} {}", violation.at, violation.what);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!("{count} seeds in {:?}, {failed} failed", began.elapsed());
    std::process::exit(i32::from(failed > 0));
}
