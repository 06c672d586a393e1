use std::{
    collections::HashMap, fmt::Display, net::SocketAddr, path::PathBuf, str::FromStr,
    time::Duration,
};

use tidegate_types::Lanes;

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigFault {
    variable: String,
    problem: String,
}

/// Reads settings from environment variables and notes every fault, so that the operator can mend all at once. Values are never repeated in a fault, since some are secret.
pub struct Environment {
    variables: HashMap<String, String>,
    faults: Vec<ConfigFault>,
}

impl Environment {
    /// The process's own environment.
    pub fn of_process() -> Self {
        Self::from_variables(std::env::vars())
    }

    /// Any variables, for tests.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            variables: variables.into_iter().collect(),
            faults: Vec::new(),
        }
    }

    /// A setting that must be there.
    pub fn required<T, E: Display>(
        &mut self,
        variable: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self
            .variables
            .get(variable)
            .filter(|value| !value.is_empty())
        {
            Some(value) => {
                let parsed = parse(value);
                self.note(variable, parsed)
            }
            None => {
                self.fault(variable, "must be set");
                None
            }
        }
    }

    /// A setting that may be left out.
    pub fn optional<T, E: Display>(
        &mut self,
        variable: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self
            .variables
            .get(variable)
            .filter(|value| !value.is_empty())
        {
            Some(value) => {
                let parsed = parse(value);
                self.note(variable, parsed)
            }
            None => Some(default),
        }
    }

    /// A whole number within bounds.
    pub fn number<T>(&mut self, variable: &str, default: T, min: T, max: T) -> Option<T>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.optional(variable, default, |value| match value.parse() {
            Ok(number) if min <= number && number <= max => Ok(number),
            _ => Err(format!("must be a number from {min} to {max}")),
        })
    }

    /// A time in whole milliseconds within bounds.
    pub fn milliseconds(
        &mut self,
        variable: &str,
        default_ms: u64,
        min_ms: u64,
        max_ms: u64,
    ) -> Option<Duration> {
        self.number(variable, default_ms, min_ms, max_ms)
            .map(Duration::from_millis)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, variable: &str, default: bool) -> Option<bool> {
        self.optional(variable, default, |value| {
            value.parse().map_err(|_| "must be true or false")
        })
    }

    /// An address to listen on.
    pub fn listen_address(&mut self, variable: &str) -> Option<SocketAddr> {
        self.required(variable, |value| {
            value
                .parse()
                .map_err(|_| "must be an address and port such as 127.0.0.1:7000")
        })
    }

    /// A file that must be there.
    pub fn file(&mut self, variable: &str) -> Option<PathBuf> {
        self.required(variable, |value| {
            let path = PathBuf::from(value);
            if path.is_file() {
                Ok(path)
            } else {
                Err("must name a file that exists")
            }
        })
    }

    /// Addresses of another service: `host:port`, separated by commas.
    pub fn addresses(&mut self, variable: &str) -> Option<Vec<String>> {
        self.required(variable, |value| {
            let addresses: Vec<_> = value
                .split(',')
                .map(|address| address.trim().to_owned())
                .collect();
            let well_formed = |address: &String| {
                address
                    .rsplit_once(':')
                    .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
            };
            if addresses.iter().all(well_formed) {
                Ok(addresses)
            } else {
                Err("must be a list of host:port, separated by commas")
            }
        })
    }

    /// The number of lanes.
    pub fn lanes(&mut self) -> Option<Lanes> {
        self.required("TIDEGATE_LANES", |value| {
            value
                .parse::<u16>()
                .ok()
                .and_then(|lanes| Lanes::new(lanes).ok())
                .ok_or("must be a number from 1 to 1024")
        })
    }

    /// Notes a fault.
    pub fn fault(&mut self, variable: &str, problem: impl Display) {
        self.faults.push(ConfigFault {
            variable: variable.to_owned(),
            problem: problem.to_string(),
        });
    }

    /// Every fault there was.
    pub fn into_faults(self) -> Vec<ConfigFault> {
        self.faults
    }

    fn note<T, E: Display>(&mut self, variable: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|problem| self.fault(variable, problem)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_reported_at_once_and_no_value_is_shown() {
        let mut environment =
            Environment::from_variables([("A".into(), "secret".into()), ("B".into(), "7".into())]);
        assert_eq!(environment.number("A", 1, 1, 5), None);
        assert_eq!(environment.number("B", 1, 1, 5), None);
        assert_eq!(environment.listen_address("C"), None);
        assert_eq!(environment.number("D", 3, 1, 5), Some(3));
        let faults: Vec<_> = environment
            .into_faults()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            faults,
            [
                "A must be a number from 1 to 5",
                "B must be a number from 1 to 5",
                "C must be set"
            ]
        );
    }

    #[test]
    fn addresses_are_a_list_of_hosts_with_ports() {
        let read =
            |value: &str| Environment::from_variables([("A".into(), value.into())]).addresses("A");
        assert_eq!(
            read("issuance:7000, 10.0.0.1:7001"),
            Some(vec!["issuance:7000".into(), "10.0.0.1:7001".into()])
        );
        for bad in ["issuance", ":7000", "a:1,,b:2", "a:99999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
