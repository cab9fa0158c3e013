//! Receivers that only count, in a process of their own.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::{Arguments, Outcome, Polled, bind_loopback};

/// Plain sockets of another process, read every millisecond.
#[derive(Debug)]
pub struct Counted {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    ports: Vec<u16>,
}

impl Counted {
    /// Starts this program again as `count` receivers.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(count: usize) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--receive", &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
        let mut ports = Vec::with_capacity(count);
        for _ in 0..count {
            ports.push(lines.next().ok_or("the receivers ended")??.parse::<u16>()?);
        }
        Ok(Self {
            child,
            lines,
            ports,
        })
    }

    /// Their ports on the loopback address.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Ends them and prints what a sender reached that used `cpu` for `sent` packets.
    ///
    /// # Errors
    /// When they ended before.
    pub fn report(mut self, sent: u64, cpu: Duration) -> Outcome<()> {
        std::thread::sleep(LAST_DATAGRAMS);
        drop(self.child.stdin.take());
        let received: u64 = self.lines.next().ok_or("the receivers ended")??.parse()?;
        self.child.wait()?;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let (rate, lost) = (
            sent as f64 / cpu.as_secs_f64(),
            sent.saturating_sub(received) as f64 / sent as f64,
        );
        writeln!(
            std::io::stdout(),
            "{{\"sent\":{sent},\"received\":{received},\"lost\":{lost:.6},\"cpuSeconds\":{:.2},\
             \"packetsPerCpuSecond\":{rate:.0}}}",
            cpu.as_secs_f64()
        )?;
        Ok(())
    }

    /// In the other process: prints the ports, reads until stdin ends, prints how many datagrams came.
    ///
    /// # Errors
    /// When a socket fails.
    pub fn is_other_process(arguments: &Arguments) -> Outcome<bool> {
        let count: usize = arguments.value("receive", 0)?;
        if count == 0 {
            return Ok(false);
        }
        let mut sockets = Vec::with_capacity(count);
        let mut out = std::io::stdout();
        for _ in 0..count {
            let socket = bind_loopback()?;
            writeln!(out, "{}", socket.local_addr()?.port())?;
            sockets.push(socket);
        }
        let ended = std::thread::spawn(|| std::io::stdin().lock().lines().count());
        let mut polled = Polled::new();
        let mut received = 0_u64;
        while !ended.is_finished() {
            polled.wait();
            for socket in &sockets {
                polled.read(socket, |_| {
                    received += 1;
                    Ok(())
                })?;
            }
        }
        writeln!(out, "{received}")?;
        Ok(true)
    }
}

const LAST_DATAGRAMS: Duration = Duration::from_millis(50);
