//! Stop signals. CRI numbers them alphabetically, so names translate, and real-time signals by arithmetic:
//! `SIGRTMIN` (34) to `SIGRTMAX` (64) are the values 35 to 65.

use crio_cri_api::v1;
use crio_types::Signal;

use super::field::{DecodeError, known};

const FIRST_REAL_TIME: i32 = v1::Signal::Sigrtmin as i32;

/// The signal a request names; `None` when it leaves the choice to the image.
pub(crate) fn decode(field: &str, value: i32) -> Result<Option<Signal>, DecodeError> {
    let signal: v1::Signal = known(field, value)?;
    if signal == v1::Signal::RuntimeDefault {
        return Ok(None);
    }
    let decoded = if value >= FIRST_REAL_TIME {
        u8::try_from(value - 1).ok().and_then(Signal::from_number)
    } else {
        signal.as_str_name().strip_prefix("SIGNAL_").and_then(Signal::parse)
    };
    match decoded {
        Some(signal) => Ok(Some(signal)),
        None => Err(DecodeError::new(field, format!("{value} is not a signal of this kernel"))),
    }
}

/// The signal as CRI numbers it.
pub(crate) fn encode(signal: Signal) -> v1::Signal {
    let number = i32::from(signal.number());
    if number + 1 >= FIRST_REAL_TIME {
        return v1::Signal::try_from(number + 1).unwrap_or(v1::Signal::RuntimeDefault);
    }
    v1::Signal::from_str_name(&format!("SIGNAL_{}", signal.name())).unwrap_or(v1::Signal::RuntimeDefault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabetical_numbers_become_linux_numbers() {
        let cases = [
            (0, None),
            (1, Some(6)),
            (5, Some(17)),
            (8, Some(1)),
            (13, Some(9)),
            (23, Some(15)),
            (35, Some(34)),
            (36, Some(35)),
            (50, Some(49)),
            (51, Some(50)),
            (65, Some(64)),
        ];
        for (value, expected) in cases {
            assert_eq!(decode("s", value), Ok(expected.and_then(Signal::from_number)), "{value}");
        }
        for value in [-1, 66] {
            assert!(decode("s", value).is_err(), "{value}");
        }
    }

    #[test]
    fn every_signal_of_the_wire_comes_back_as_its_canonical_value() {
        for value in 1..=65 {
            let signal = decode("s", value).expect("defined").expect("not the default");
            let again = decode("s", encode(signal) as i32);
            assert_eq!(again, Ok(Some(signal)), "{value}");
        }
    }

    #[test]
    fn real_time_names_agree_with_the_arithmetic() {
        for value in 35..=65 {
            let signal = decode("s", value).expect("defined").expect("not the default");
            let name = v1::Signal::try_from(value).expect("defined").as_str_name();
            let spelled = name.trim_start_matches("SIGNAL_").replace("PLUS", "+").replace("MAXMINUS", "MAX-");
            assert_eq!(Signal::parse(&spelled), Some(signal), "{name}");
        }
    }
}
