//! Why a configuration could not be read or made.

use std::fmt;

use crate::Codec;

/// Why bytes are no [`CodecConfig`](crate::CodecConfig), or none can be made of what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The record ends before what it announces.
    Truncated,
    /// The record is of a version that is not defined here.
    Version {
        /// The version as it arrived.
        found: u8,
    },
    /// The record or a parameter set is larger, or has more units, than its format can carry or we take.
    TooLarge,
    /// A parameter set is malformed.
    ParameterSet {
        /// Its NAL unit type (H.264 table 7-1, H.265 table 7-1), or OBU type (AV1 §6.2.2).
        unit_type: u8,
    },
    /// A parameter set that no decoder can do without is not there.
    MissingParameterSet {
        /// Its NAL unit or OBU type.
        unit_type: u8,
    },
    /// The record breaks its syntax: a reserved value, a size that is not allowed.
    Malformed,
    /// The sample rate cannot be expressed.
    SampleRate {
        /// In samples per second.
        found: u32,
    },
    /// Configurations of this audio object type are read but not made.
    ObjectType {
        /// ISO/IEC 14496-3 table 1.17.
        found: u8,
    },
    /// The number of channels has no standard layout in this codec.
    Channels {
        /// How many were asked for.
        found: u8,
    },
    /// This codec has no such configuration.
    UnsupportedCodec {
        /// Which one.
        codec: Codec,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the codec configuration ends early"),
            Self::Version { found } => {
                write!(f, "version {found} of the codec configuration is unknown")
            }
            Self::TooLarge => f.write_str("the codec configuration is too large"),
            Self::ParameterSet { unit_type } => {
                write!(f, "the parameter set of type {unit_type} is malformed")
            }
            Self::MissingParameterSet { unit_type } => {
                write!(f, "there is no parameter set of type {unit_type}")
            }
            Self::Malformed => f.write_str("the codec configuration is malformed"),
            Self::SampleRate { found } => {
                write!(f, "{found} samples per second cannot be configured")
            }
            Self::ObjectType { found } => {
                write!(f, "no configuration is made of audio object type {found}")
            }
            Self::Channels { found } => write!(f, "{found} channels cannot be configured"),
            Self::UnsupportedCodec { codec } => {
                write!(f, "{} has no such configuration", codec.name())
            }
        }
    }
}

impl std::error::Error for ConfigError {}
