//! `--name value` and `--flag`.

use std::str::FromStr;

use crate::Outcome;

/// The command line of a bench.
#[derive(Debug)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// This process's.
    pub fn read() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Whether `--name` is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|a| a.strip_prefix("--") == Some(name))
    }

    /// The value after `--name`, or the default.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn value<T: FromStr>(&self, name: &str, default: T) -> Outcome<T> {
        let place = self
            .0
            .iter()
            .position(|a| a.strip_prefix("--") == Some(name));
        let Some(text) = place.and_then(|i| self.0.get(i + 1)) else {
            return Ok(default);
        };
        text.parse()
            .map_err(|_| format!("--{name} {text} does not parse").into())
    }

    /// The comma-separated values after `--name`, or the default.
    ///
    /// # Errors
    /// When one does not parse.
    pub fn list(&self, name: &str, default: &[usize]) -> Outcome<Vec<usize>> {
        let text: String = self.value(name, String::new())?;
        if text.is_empty() {
            return Ok(default.to_vec());
        }
        text.split(',').map(|n| Ok(n.parse()?)).collect()
    }
}
